"""PreAct ResNet-18 (He et al., 2016b) for small images: 3x3 stride-1 stem, adaptive pooling, a width to choose."""

import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.models.activations import ACTIVATIONS, Activation
from stages.core.models.precision import in_float32, narrowed, widened


class PreActBlock(nn.Module):
    """BN-activation-conv twice plus the shortcut, which is taken after the first activation where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = self.activation(self.bn1(x))
        carried = x if self.shortcut is None else self.shortcut(active)
        out = self.conv2(self.activation(self.bn2(self.conv1(active))))
        out += carried
        return out


class PreActResNet18(nn.Module):
    """Four stages of two blocks, a last BN-activation; images (B, 3, H, W) -> features (B, 8 * width)."""

    def __init__(self, *, width: int = 64, activation: str = "relu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.stem = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        blocks: list[nn.Module] = []
        channels = width
        for stage in range(4):
            outputs = width * 2**stage
            blocks.append(PreActBlock(channels, outputs, 1 if stage == 0 else 2, self.activation))
            blocks.append(PreActBlock(outputs, outputs, 1, self.activation))
            channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(channels)
        self.features = channels

    def forward(self, images: Tensor) -> Tensor:
        out = self.activation(self.bn(self.blocks(narrowed(in_float32(self.stem, images)))))
        return F.adaptive_avg_pool2d(widened(out), 1).flatten(1)
