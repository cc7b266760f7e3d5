"""The held-out training images that model selection sees, the same for the structure and the train stage."""

import torch
from torch import Tensor

LARGEST_SHARE = 10
SPLIT_SEED = 20230316


def held_out_mask(num_images: int, at_most: int) -> Tensor:
    """(N,) bool: True for min(at_most, N // 10) images drawn once with a fixed seed, whatever a run's own seed."""
    mask = torch.zeros(num_images, dtype=torch.bool)
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(SPLIT_SEED))
    mask[order[: min(at_most, num_images // LARGEST_SHARE)]] = True
    return mask
