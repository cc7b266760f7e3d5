"""Pixels: stored as uint8, computed with as numbers in [0, 1]; and one value an image spread over its pixels."""

from torch import Tensor

PIXEL_MAX = 255.0


def to_unit(images: Tensor) -> Tensor:
    """uint8 of any shape -> float32 in [0, 1]."""
    return images.float() / PIXEL_MAX


def over_pixels(per_image: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1), to meet images (B, C, H, W)."""
    return per_image.view(-1, 1, 1, 1)
