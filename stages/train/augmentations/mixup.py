"""Mixup (Zhang et al., 2018): every image blended with another of the batch, and the loss with it."""

import torch
from torch import Tensor

from stages.core.config.quantities import Positive
from stages.train.augmentations._draws import beta, partners
from stages.train.batch import Augmented, Targets


def mixup(images: Tensor, labels: Tensor, generator: torch.Generator, *, alpha: Positive = 1.0) -> Augmented:
    """mu x + (1 - mu) x_pi with labels y, y_pi weighted alike; one mu ~ Beta(alpha, alpha) and one pi a batch.

    images: (B, 3, H, W) in [0, 1]; labels: (B,).
    """
    weight = float(beta(1, alpha, generator))
    partner = partners(len(images), generator, images.device)
    mixed = torch.lerp(images[partner], images, weight)
    return Augmented(mixed, Targets(labels, labels[partner], weight))
