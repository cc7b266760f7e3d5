"""CutMix (Yun et al., 2019): a box of every image replaced by the same box of another of the batch."""

import math

import torch
from torch import Tensor

from stages.core.config.quantities import Fraction01, Positive
from stages.train.augmentations._draws import beta, partners, uniform
from stages.train.batch import Augmented, Targets


def cutmix(
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    alpha: Positive = 1.0,
    probability: Fraction01 = 1.0,
) -> Augmented:
    """Paste a box of x_pi into x; y weighs the share of x that is left, y_pi the box's. One box and one pi a batch.

    The box's sides are sqrt(1 - mu) of the image's, mu ~ Beta(alpha, alpha), about a uniform pixel, clipped to the
    image. images: (B, 3, H, W) in [0, 1]; labels: (B,); probability: share of batches that are
    mixed at all, 0.5 every second.
    """
    if float(uniform((), 0.0, 1.0, generator)) >= probability:
        return Augmented(images, Targets(labels))
    height, width = images.shape[2:]
    rows, columns = random_box(height, width, float(beta(1, alpha, generator)), generator)
    partner = partners(len(images), generator, images.device)
    mixed = images.clone()
    mixed[:, :, rows, columns] = images[partner, :, rows, columns]
    left = height * width - (rows.stop - rows.start) * (columns.stop - columns.start)
    return Augmented(mixed, Targets(labels, labels[partner], left / (height * width)))


def random_box(height: int, width: int, kept: float, generator: torch.Generator) -> tuple[slice, slice]:
    """(rows, columns) of a box of about 1 - kept of the image, about a uniform pixel, clipped to the image."""
    ratio = math.sqrt(1 - kept)
    row, column = uniform((2,), 0.0, 1.0, generator).tolist()
    return _clipped(int(row * height), int(height * ratio), height), _clipped(
        int(column * width), int(width * ratio), width
    )


def _clipped(center: int, side: int, size: int) -> slice:
    return slice(max(0, center - side // 2), min(size, center + side // 2))
