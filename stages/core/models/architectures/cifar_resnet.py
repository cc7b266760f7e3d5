"""ResNets for 32x32 images under the parameter names that the robustness literature's checkpoints have.

He et al., 2016a and 2016b: a 3x3 stem of stride 1, four stages, average pooling over what is left. The names are those
of the widespread CIFAR code that TRADES, MART, AWP and RobustBench took over: conv1, bn1, layer1.0.conv1, linear.
"""

import torch.nn.functional as F
from torch import Tensor, nn

EXPANSION = 4  # of a bottleneck's channels at its end


def _matched(inputs: int, outputs: int, stride: int, norm: bool) -> nn.Sequential:
    """A 1x1 convolution where a block changes the shape, with batch norm or without; else nothing."""
    if stride == 1 and inputs == outputs:
        return nn.Sequential()
    convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs)) if norm else nn.Sequential(convolution)


class Basic(nn.Module):
    """Two 3x3 convolutions."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.outputs = channels
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = _matched(inputs, self.outputs, stride, norm=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, and 1x1 to four times the channels."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.outputs = EXPANSION * channels
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, self.outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.outputs)
        self.shortcut = _matched(inputs, self.outputs, stride, norm=True)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(out)))))
        return F.relu(out + self.shortcut(x))


class PreActivated(nn.Module):
    """Batch norm and rectifier before each convolution; a shortcut that changes the shape starts behind the first."""

    raw_shortcut = False

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.outputs = channels
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        if stride != 1 or inputs != channels:
            self.shortcut = _matched(inputs, channels, stride, norm=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        carried = self.shortcut(x if self.raw_shortcut else active) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(active)))) + carried  # type: ignore[no-any-return]


class RawPreActivated(PreActivated):
    """The same, every shortcut starting before the first batch norm; some of RobustBench's nets are so."""

    raw_shortcut = True


class CifarResNet(nn.Module):
    """Images (B, 3, H, W) -> logits (B, classes); stem_norm: bn1 behind the stem, last_norm: bn before the pooling."""

    def __init__(
        self,
        block: type[Basic] | type[Bottleneck] | type[PreActivated],
        depths: tuple[int, int, int, int],
        classes: int,
        width: int = 64,
        last_norm: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        if not issubclass(block, PreActivated):
            self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for number, depth in enumerate(depths):
            blocks = []
            for place in range(depth):
                built = block(channels, width * 2**number, 2 if number and not place else 1)
                blocks.append(built)
                channels = built.outputs
            setattr(self, f"layer{number + 1}", nn.Sequential(*blocks))
        if last_norm:
            self.bn = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        out = self.conv1(images)
        if hasattr(self, "bn1"):
            out = F.relu(self.bn1(out))
        out = self.layer4(self.layer3(self.layer2(self.layer1(out))))  # type: ignore[operator]
        if hasattr(self, "bn"):
            out = F.relu(self.bn(out))
        return self.linear(F.adaptive_avg_pool2d(out, 1).flatten(1))  # type: ignore[no-any-return]
