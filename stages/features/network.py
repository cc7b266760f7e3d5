"""The encoder that MoCo trains (He et al., 2020) and batch norm over groups of a batch.

Normalization of the pixels, a backbone and a head; the head of MoCo v2 (Chen et al., 2020) has a hidden layer.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.artifacts import read_weights
from stages.core.errors import ArtifactError
from stages.core.images.pixels import PIXEL_MAX
from stages.core.models import BACKBONES
from stages.core.models.precision import in_float32

FLATTEST = 1 / PIXEL_MAX


class Encoder(nn.Module):
    """Images (B, 3, H, W) in [0, 1] -> embeddings (B, D) of length 1.

    mean, std: (3,) of the pixels; size: resize to this many pixels a side first, None to leave the images as they are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, head: nn.Module, mean: Tensor, std: Tensor, size: int | None = None):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.size = size
        self.register_buffer("mean", mean.float().view(1, 3, 1, 1))
        self.register_buffer("std", std.float().view(1, 3, 1, 1))

    def pooled(self, images: Tensor) -> Tensor:
        """The backbone's pooled features (B, F)."""
        if self.size is not None:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        return self.backbone((images - self.mean) / self.std)

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(in_float32(self.head, self.pooled(images)), dim=1)


def moco_encoder(*, backbone: str, width: int, dim: int, head_layers: int) -> Encoder:
    """An untrained encoder for small images; its pixel mean and std are 0 and 1 until they are set."""
    body = BACKBONES[backbone](width=width)
    hidden = [nn.Linear(body.features, body.features), nn.ReLU()] if head_layers == 2 else []
    head = nn.Sequential(*hidden, nn.Linear(body.features, dim))
    return Encoder(body, head, torch.zeros(3), torch.ones(3))


def initialize_as_demo(encoder: Encoder) -> None:
    """Draw the convolutions anew as torchvision's ResNets do, N(0, 2 / (outputs * k^2)), but for the stem's.

    MoCo's CIFAR demo builds torchvision's ResNet and then replaces its stem, which so keeps PyTorch's default, as the
    linear head does.
    """
    for name, module in encoder.backbone.named_modules():
        if isinstance(module, nn.Conv2d) and not name.startswith("stem"):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def read_encoder(path: Path) -> Encoder:
    """The query encoder that `pretrain` wrote; ArtifactError for any other network."""
    weights, architecture = read_weights(path)
    if architecture.pop("kind", None) != "moco":
        raise ArtifactError(
            f"{path}: not an encoder of `python -m stages.features pretrain`; give --encoder its output"
        )
    try:
        with torch.device("meta"):
            wanted = moco_encoder(**architecture)
        require_fit(wanted, weights, str(path))
        encoder = moco_encoder(**architecture)
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise ArtifactError(f"{path}: no encoder is of the architecture {architecture} ({error})") from error
    load_exactly(encoder, weights, str(path))
    return encoder


def load_exactly(network: nn.Module, weights: dict[str, Any], name: str) -> None:
    """Load weights whose names and shapes are the network's; else ArtifactError with the first that differ."""
    require_fit(network, weights, name)
    network.load_state_dict(weights, strict=False)


def require_fit(network: nn.Module, weights: dict[str, Any], name: str) -> None:
    """ArtifactError unless names and shapes of the weights are the network's, with the first that differ."""
    expected = network.state_dict()
    lacking = [key for key in expected if key not in weights and not key.endswith("num_batches_tracked")]
    foreign = [key for key in weights if key not in expected]
    misshapen = [key for key in expected if key in weights and weights[key].shape != expected[key].shape]
    for fault, keys in (("lacks", lacking), ("also holds", foreign), ("holds in another shape", misshapen)):
        if keys:
            raise ArtifactError(f"{name}: {fault} {', '.join(keys[:3])} ({len(keys)} in all); it is another network")


def pixel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and std (3,) of each channel of uint8 images (N, 3, H, W), on the scale [0, 1]; a flat channel has no 0 std.

    Exact whatever the order of the images: from the counts of the 256 values.
    """
    counts = torch.stack([torch.bincount(images[:, channel].flatten(), minlength=256) for channel in range(3)])
    shares = counts.double() / counts.sum(dim=1, keepdim=True)
    values = torch.arange(256, device=images.device, dtype=torch.float64) / PIXEL_MAX
    mean = shares @ values
    variance = (shares * (values - mean.unsqueeze(1)).square()).sum(dim=1)
    return mean, variance.sqrt().clamp_min(FLATTEST)


class SplitBatchNorm(nn.BatchNorm2d):
    """Batch norm that sees `splits` groups of a training batch apart: image i belongs to group i mod splits.

    The running statistics are the mean of the groups'. In eval mode, and with one group, it is plain batch norm.
    """

    def __init__(self, channels: int, splits: int) -> None:
        super().__init__(channels)
        self.splits = splits

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.splits == 1 or self.running_mean is None or self.running_var is None:
            return super().forward(x)
        mean, variance = self.running_mean.repeat(self.splits), self.running_var.repeat(self.splits)
        grouped = x.unflatten(0, (-1, self.splits)).flatten(1, 2)
        weight, bias = self.weight.repeat(self.splits), self.bias.repeat(self.splits)
        out = F.batch_norm(grouped, mean, variance, weight, bias, True, self.momentum or 0.0, self.eps)
        self.running_mean.copy_(mean.view(self.splits, -1).mean(dim=0))
        self.running_var.copy_(variance.view(self.splits, -1).mean(dim=0))
        return out.unflatten(1, (self.splits, -1)).flatten(0, 1)


def split_batch_norm(network: nn.Module, splits: int) -> None:
    """Put a SplitBatchNorm of `splits` groups in the place of every batch norm, weights and statistics kept."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                split = SplitBatchNorm(child.num_features, splits).to(child.weight.device)
                split.load_state_dict(child.state_dict())
                setattr(parent, name, split)
