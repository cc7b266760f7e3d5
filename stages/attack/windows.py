"""Images of any shape for Square (Andriushchenko et al., 2020) as the libraries have it.

Under L2 it starts from a grid of windows a fifth of the height wide, which runs over the edge of some images (12, 14,
18 or 24 pixels a side, many that are not square) and has no width below 5 pixels; then both libraries crash. Such an
image is searched on a canvas a few pixels larger, whose margin the model never sees. What is cut off with the margin
only makes the perturbation smaller. Images that the grid fits (32, 64 and 96 pixels a side) are searched as they are.
"""

from itertools import count
from typing import Any

import torch.nn.functional as F
from torch import Tensor

GRID = 5
LEAST_WINDOW = 3
"""Square's windows under L2 are never smaller than this."""


def canvas_shape(height: int, width: int) -> tuple[int, int]:
    """The least (height, width), no smaller than an image's, that the grid of Square's start fits."""
    height = next(side for side in count(max(height, GRID)) if _fits(side, side))
    return height, next(side for side in count(max(width, LEAST_WINDOW)) if _fits(side, height))


def search_on_canvas(square: Any, predict: str, images: Tensor) -> tuple[int, int]:
    """Let a library's Square search images (B, C, H, W) on their canvas; its (height, width).

    square: the attack, whose `perturb` is replaced, and its method or function by the name `predict`, which gives
    logits.
    """
    height, width = images.shape[-2:]
    tall, wide = canvas_shape(height, width)
    if (tall, wide) == (height, width):
        return tall, wide
    look, search = getattr(square, predict), square.perturb

    def crop(canvas: Tensor) -> Tensor:
        return canvas[..., :height, :width].contiguous()

    def perturb(images: Tensor, labels: Tensor) -> Tensor:
        return crop(search(F.pad(images, (0, wide - width, 0, tall - height)), labels))

    setattr(square, predict, lambda canvas: look(crop(canvas)))
    square.perturb = perturb
    return tall, wide


def hold_windows_inside(square: Any, height: int, width: int, odd: bool) -> None:
    """Clamp the sides of Square's windows to the shorter edge; only the official repository's code does so itself.

    A window covers the share `square.p_selection(step)` of the image, its side rounded, and up to an odd one if `odd`.
    """
    edge = min(height, width)
    largest = edge - 1 if odd and edge % 2 == 0 else edge
    share, most = square.p_selection, largest**2 / (height * width)
    square.p_selection = lambda step: min(share(step), most)


def _fits(side: int, height: int) -> bool:
    """Whether the windows that a side holds, from Square's offset on, stay inside it; those of one pixel may not."""
    window = height // GRID
    offset = (height - GRID * window) // 2
    return window == 1 or offset + side // window * window <= side
