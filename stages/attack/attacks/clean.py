"""No attack: the clean accuracy, as a column like any other."""

import torch
from torch import Tensor, nn

from stages.core.images.threat import Threat


def clean(model: nn.Module, images: Tensor, labels: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
    """The images (B, C, H, W) themselves."""
    return images.clone()
