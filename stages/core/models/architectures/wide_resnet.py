"""Wide ResNets (Zagoruyko and Komodakis, 2016) under the parameter names of the robustness literature's checkpoints."""

import torch.nn.functional as F
from torch import Tensor, nn

UNUSED = "sub_block1."  # TRADES' code builds these parameters beside the net and never runs them


class WideBlock(nn.Module):
    """Batch norm and rectifier before each 3x3 convolution; where the shape changes both paths start behind them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.convShortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return out + (x if self.convShortcut is None else self.convShortcut(active))  # type: ignore[no-any-return]


class Stage(nn.Module):
    """Blocks of one number of channels, in `layer`."""

    def __init__(self, depth: int, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        blocks = [WideBlock(outputs if place else inputs, outputs, 1 if place else stride) for place in range(depth)]
        self.layer = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


class WideResNet(nn.Module):
    """depth = 6n + 4 layers, `widen` times 16, 32 and 64 channels; images (B, 3, H, W) -> logits (B, classes)."""

    def __init__(self, depth: int, widen: int, classes: int) -> None:
        super().__init__()
        each, channels = (depth - 4) // 6, [16, 16 * widen, 32 * widen, 64 * widen]
        self.conv1 = nn.Conv2d(3, channels[0], 3, 1, 1, bias=False)
        self.block1 = Stage(each, channels[0], channels[1], 1)
        self.block2 = Stage(each, channels[1], channels[2], 2)
        self.block3 = Stage(each, channels[2], channels[3], 2)
        self.bn1 = nn.BatchNorm2d(channels[3])
        self.fc = nn.Linear(channels[3], classes)

    def forward(self, images: Tensor) -> Tensor:
        out = self.block3(self.block2(self.block1(self.conv1(images))))
        return self.fc(F.adaptive_avg_pool2d(F.relu(self.bn1(out)), 1).flatten(1))  # type: ignore[no-any-return]
