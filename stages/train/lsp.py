"""The LSP term: keep each anchor's distances to its neighbors in proportion (Wei et al., 2023, Eq. 2-4, 9-11).

P_x: structure vector, distances of x to its m neighbors in MoCo's space, normalized to sum 1 (Eq. 2).
Q_x: the same vector measured on the classifier's logits (Eq. 3), from f(x') in adversarial training (Eq. 9).
"f(x) ... is normalized to follow an approximately Gaussian distribution" (section 3.2), by nothing that the paper says;
so logits can be taken as they are, or made of mean 0 and variance 1 in two ways (`normalized`).
"""

import torch
from torch import Tensor

TINY = 1e-12
LEAST_VARIANCE = 1e-8


def logit_structure(anchors: Tensor, neighbors: Tensor) -> Tensor:
    """Q (B, m): Euclidean distances of logits (B, K) to neighbors' logits (B, m, K), normalized to sum 1 (Eq. 3, 9).

    Computed in float32 at least; the root is taken of the sum plus 1e-12, whose gradient at 0 is finite.
    """
    squared = (_precise(neighbors) - _precise(anchors).unsqueeze(1)).square().sum(2)
    distances = (squared + TINY).sqrt()
    return distances / distances.sum(1, keepdim=True).clamp_min(TINY)


def normalized(anchors: Tensor, neighbors: Tensor, how: str) -> tuple[Tensor, Tensor]:
    """Logits (B, K) and neighbors' logits (B, m, K), in float32 at least, normalized as `how` says.

    plain: as they are. standardized: each example's logits to mean 0 and (biased) variance 1 over the classes.
    batch_standardized: each class to mean 0 and variance 1 over all anchors and neighbors of the batch.
    """
    if how == "standardized":
        return _standardized(anchors, 1), _standardized(neighbors, 2)
    if how == "batch_standardized":
        together = _standardized(torch.cat([anchors, neighbors.flatten(0, 1)]), 0)
        return together[: len(anchors)], together[len(anchors) :].view(neighbors.shape)
    return anchors, neighbors


def _standardized(logits: Tensor, dim: int) -> Tensor:
    """Mean 0 and variance 1 along a dimension; 1e-8 is added to the variance, so that the gradient at 0 is finite."""
    centered = _precise(logits) - _precise(logits).mean(dim, keepdim=True)
    return centered * (centered.square().mean(dim, keepdim=True) + LEAST_VARIANCE).rsqrt()


def _precise(logits: Tensor) -> Tensor:
    """float32 of a lower precision, and a higher one as it is."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


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
    logits: str = "plain",
    stop_gradient: bool = False,
) -> Tensor:
    """D(P_x, Q_x) (Eq. 4, 10), a scalar: anchor_logits (B, K), neighbor_logits (B, m, K), structure P (B, m).

    logits: how they are normalized first; stop_gradient: none through neighbor_logits, not through statistics either.
    """
    neighbors = neighbor_logits.detach() if stop_gradient else neighbor_logits
    measured = logit_structure(*normalized(anchor_logits, neighbors, logits))
    return discrepancy(structure, measured, name=name, reduction=reduction)
