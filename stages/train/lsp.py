"""The LSP term: keep each anchor's distances to its neighbors in proportion (Wei et al., 2023, Eq. 2-4, 9-11).

P_x: structure vector, distances of x to its m neighbors in MoCo's space, normalized to sum 1 (Eq. 2).
Q_x: the same vector measured on the classifier's logits (Eq. 3), from f(x') in adversarial training (Eq. 9).
"""

from torch import Tensor

TINY = 1e-12


def structure_vectors(anchors: Tensor, neighbors: Tensor) -> Tensor:
    """Q (B, m): Euclidean distances of logits (B, K) to neighbors' logits (B, m, K), normalized to sum 1 (Eq. 3, 9).

    Computed in float32; the root is taken of the sum plus 1e-12, whose gradient at 0 is finite.
    """
    squared = (neighbors.float() - anchors.float().unsqueeze(1)).square().sum(2)
    distances = (squared + TINY).sqrt()
    return distances / distances.sum(1, keepdim=True).clamp_min(TINY)


def discrepancy(p: Tensor, q: Tensor, *, name: str, reduction: str) -> Tensor:
    """D(P, Q), a scalar, of structure vectors (B, m).

    name: mse sum (P-Q)^2, l2 its root, l1 sum |P-Q|, cosine 1 - cos(P, Q), kl sum P log(P/Q), each over m.
    reduction: mean divides the sums of mse, l1 and kl by m; sum does not; both average over the batch;
    batch_sum adds up over m and batch.
    """
    if name == "mse":
        per_anchor = (p - q).square().sum(1)
    elif name == "l2":
        per_anchor = ((p - q).square().sum(1) + TINY).sqrt()
    elif name == "l1":
        per_anchor = (p - q).abs().sum(1)
    elif name == "cosine":
        per_anchor = 1 - (p * q).sum(1) / (p.norm(dim=1) * q.norm(dim=1)).clamp_min(TINY)
    else:
        per_anchor = (p * (p.clamp_min(TINY).log() - q.clamp_min(TINY).log())).sum(1)
    if reduction == "batch_sum":
        return per_anchor.sum()
    if reduction == "mean" and name in ("mse", "l1", "kl"):
        per_anchor = per_anchor / p.shape[1]
    return per_anchor.mean()


def lsp_term(
    anchor_logits: Tensor,
    neighbor_logits: Tensor,
    structure: Tensor,
    *,
    name: str = "mse",
    reduction: str = "sum",
    stop_gradient: bool = False,
) -> Tensor:
    """D(P_x, Q_x) (Eq. 4, 10), a scalar: anchor_logits (B, K), neighbor_logits (B, m, K), structure P (B, m)."""
    neighbors = neighbor_logits.detach() if stop_gradient else neighbor_logits
    return discrepancy(structure, structure_vectors(anchor_logits, neighbors), name=name, reduction=reduction)
