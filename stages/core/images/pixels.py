"""Stored pixels, uint8, as the numbers in [0, 1] that every stage computes with."""

from torch import Tensor

PIXEL_MAX = 255.0


def to_unit(images: Tensor) -> Tensor:
    """uint8 of any shape -> float32 in [0, 1]."""
    return images.float() / PIXEL_MAX
