"""Draws that mixing augmentations share, from an explicit random stream."""

import torch
from torch import Tensor


def dirichlet(rows: int, parts: int, concentration: float, generator: torch.Generator) -> Tensor:
    """Points of the symmetric Dirichlet distribution: (rows, parts) float64 on the generator's device, rows sum to 1.

    concentration: the paper's alpha, above 0.
    """
    concentrations = torch.full((rows, parts), concentration, dtype=torch.float64, device=generator.device)
    return torch._sample_dirichlet(concentrations, generator)


def beta(rows: int, concentration: float, generator: torch.Generator) -> Tensor:
    """Draws of Beta(alpha, alpha), the first part of a Dirichlet pair: (rows,) float64 in [0, 1]."""
    return dirichlet(rows, 2, concentration, generator)[:, 0]


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draws from [low, high): float64 of that shape on the generator's device."""
    unit = torch.rand(shape, dtype=torch.float64, generator=generator, device=generator.device)
    return low + (high - low) * unit


def whole(low: int, high: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Whole numbers from low to high - 1, equally likely: int64 of that shape on the generator's device."""
    return torch.randint(low, high, shape, generator=generator, device=generator.device)


def partners(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """A random permutation of a batch, on `device`: the image that each is mixed with, (count,) int64."""
    return torch.randperm(count, generator=generator, device=generator.device).to(device, non_blocking=True)
