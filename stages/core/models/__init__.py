"""Backbones by name, with the pixel normalization inside the model."""

import torch
from torch import Tensor, nn

from stages.core.errors import ConfigError
from stages.core.models.activations import ACTIVATIONS
from stages.core.models.preact_resnet import PreActResNet18
from stages.core.models.precision import in_float32
from stages.core.models.resnet import ResNet18

BACKBONES: dict[str, type[ResNet18] | type[PreActResNet18]] = {
    "resnet18": ResNet18,
    "preact_resnet18": PreActResNet18,
}


class Classifier(nn.Module):
    """Normalization, backbone, linear layer: images (B, 3, H, W) in [0, 1] -> logits (B, K).

    mean, std: of the normalization, one a channel; 0 and 1 (the default) leave the pixels as they are.
    activation: a name in ACTIVATIONS.
    Convolutions run in the channels-last layout, which is faster for small nets on CPUs as well as on GPUs.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str,
        *,
        width: int,
        classes: int,
        mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
        std: tuple[float, float, float] = (1.0, 1.0, 1.0),
        activation: str = "relu",
    ) -> None:
        super().__init__()
        for what, name, known in (("backbone", backbone, BACKBONES), ("activation", activation, ACTIVATIONS)):
            if name not in known:
                raise ConfigError(f"{what} '{name}' is unknown; choose one of {', '.join(sorted(known))}")
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.backbone = BACKBONES[backbone](width=width, activation=activation)
        self.head = nn.Linear(self.backbone.features, classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        normalized = (images - self.mean) / self.std
        return in_float32(self.head, self.backbone(normalized.contiguous(memory_format=torch.channels_last)))
