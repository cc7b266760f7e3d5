"""Structure vectors: an anchor's distances to its companions as shares of their sum (Eq. 2), and two controls.

The controls ask what structure adds to smoothing: the same companions with no structure, or with a wrong one.
"""

import torch
from torch import Generator, Tensor

LEAST_SUM = 1e-12


def embedding_structure(distances: Tensor) -> tuple[Tensor, Tensor]:
    """P_x[j] = d(x, x_j) / sum_k d(x, x_k): vectors (N, m) float64 with rows summing to 1, and degenerate (N,) bool.

    distances: (N, m), in any unit, for P_x does not change with their scale. An anchor whose distances sum to no more
    than 1e-12 (all companions are its duplicates) is degenerate: its vector is uniform, 1/m.
    """
    distances = distances.double()
    total = distances.sum(dim=1, keepdim=True)
    degenerate = total <= LEAST_SUM
    uniform = torch.full_like(distances, 1 / distances.shape[1])
    return torch.where(degenerate, uniform, distances / total.clamp_min(LEAST_SUM)), degenerate.squeeze(1)


def controlled(vectors: Tensor, vector: str, generator: Generator) -> Tensor:
    """Structure vectors (N, m) as `vector` says, rows still summing to 1.

    distances: as they are. uniform: 1/m, whatever the distances. permuted: each anchor's entries in an order drawn for
    it, so that the values stay and whose they are does not.
    """
    if vector == "uniform":
        return torch.full_like(vectors, 1 / vectors.shape[1])
    if vector == "permuted":
        draws = torch.rand(vectors.shape, generator=generator, device=generator.device, dtype=torch.float64)
        return vectors.gather(1, draws.argsort(dim=1).to(vectors.device))
    return vectors


def coefficient_of_variation(vectors: Tensor) -> float:
    """Standard deviation over mean within a structure vector (N, m), averaged over anchors; 0 if all are uniform."""
    return float((vectors.std(dim=1, correction=0) / vectors.mean(dim=1)).mean())
