"""ResNet-18 for small images (He et al., 2016a): a 3x3 stride-1 stem, no pooling after it, a width to choose."""

import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.models.activations import ACTIVATIONS, Activation
from stages.core.models.precision import in_float32, narrowed, widened


class BasicBlock(nn.Module):
    """conv-BN-activation-conv-BN plus the shortcut, then activation; a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.activation(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.activation(out)


class ResNet18(nn.Module):
    """Four stages of two blocks at width, 2, 4 and 8 times width; images (B, 3, H, W) -> features (B, 8 * width)."""

    def __init__(self, *, width: int = 64, activation: str = "relu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        blocks: list[nn.Module] = []
        channels = width
        for stage in range(4):
            outputs = width * 2**stage
            blocks.append(BasicBlock(channels, outputs, 1 if stage == 0 else 2, self.activation))
            blocks.append(BasicBlock(outputs, outputs, 1, self.activation))
            channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.features = channels

    def forward(self, images: Tensor) -> Tensor:
        convolution, norm = self.stem
        out = self.activation(norm(narrowed(in_float32(convolution, images))))
        return F.adaptive_avg_pool2d(widened(self.blocks(out)), 1).flatten(1)
