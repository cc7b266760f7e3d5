"""Networks of checkpoints from elsewhere: each architecture under the names that its parameters have in the files.

torchvision is imported where one of its networks is asked for, as that takes seconds.

A name is one of `families()`, `torchvision:NAME`, `timm:NAME`, or `FILE.py:FUNCTION`, whose code is the user's and is
run. A family has several layouts: of ResNet-18 ours, the CIFAR literature's and torchvision's.
"""

import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stages.core.errors import ArtifactError, ConfigError
from stages.core.files import sha256_file
from stages.core.models import BACKBONES
from stages.core.models.architectures.cifar_resnet import Basic, Bottleneck, CifarResNet, PreActivated, RawPreActivated
from stages.core.models.architectures.wide_resnet import WideResNet

Builder = Callable[[int, int], nn.Module]
PREACT = (2, 2, 2, 2)
LITERATURE: Mapping[str, Builder] = {
    "cifar:resnet18": lambda classes, width: CifarResNet(Basic, (2, 2, 2, 2), classes, width),
    "cifar:resnet34": lambda classes, width: CifarResNet(Basic, (3, 4, 6, 3), classes, width),
    "cifar:resnet50": lambda classes, width: CifarResNet(Bottleneck, (3, 4, 6, 3), classes, width),
    "cifar:preact_resnet18": lambda classes, width: CifarResNet(PreActivated, PREACT, classes, width),
    "cifar:preact_resnet18+bn": lambda classes, width: CifarResNet(PreActivated, PREACT, classes, width, True),
    "cifar:preact_resnet18+raw": lambda classes, width: CifarResNet(RawPreActivated, PREACT, classes, width),
    "cifar:preact_resnet18+bn+raw": lambda classes, width: CifarResNet(RawPreActivated, PREACT, classes, width, True),
    "cifar:wrn_28_10": lambda classes, width: WideResNet(28, 10, classes),
    "cifar:wrn_34_10": lambda classes, width: WideResNet(34, 10, classes),
}
SMALL_STEM = "+small_stem"  # of a torchvision ResNet: a stem of 3x3 and stride 1, and no pooling behind it
POOLED, RAW = "+pooled", "+raw"  # the same, pooling behind it; shortcuts that start before the first batch norm


def alike(architecture: str) -> list[str]:
    """The architecture, and the one that a state_dict does not tell from it: its names and shapes are the same."""
    other = architecture + (POOLED if architecture.endswith(SMALL_STEM) else RAW)
    return [architecture, other] if other.endswith(POOLED) or other in LITERATURE else [architecture]


class Ours(nn.Module):
    """A backbone and a head under the names of `Classifier`, without its normalization."""

    def __init__(self, backbone: str, classes: int, width: int) -> None:
        super().__init__()
        self.backbone = BACKBONES[backbone](width=width)
        self.head = nn.Linear(self.backbone.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))  # type: ignore[no-any-return]


class Outside(nn.Module):
    """A network behind a normalization of its own: images (B, 3, H, W) in [0, 1] -> logits (B, K)."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std)  # type: ignore[no-any-return]


def families() -> dict[str, list[str]]:
    """What a config may name -> the architectures that go by the name, the likeliest first, but for what is `alike`."""
    from torchvision import models

    found: dict[str, list[str]] = {}
    ours = [f"ours:{name}" for name in BACKBONES]
    vision = [f"torchvision:{name}" for name in models.list_models(models)]
    small = [f"{name}{SMALL_STEM}" for name in vision if ":resnet" in name]
    for name in [*ours, *LITERATURE, *small, *vision]:
        if not name.endswith(RAW):
            found.setdefault(name.partition(":")[2].partition("+")[0], []).append(name)
    return found


def build(architecture: str, classes: int, width: int = 64, code: str | None = None) -> nn.Module:
    """The network of an architecture, untrained; ConfigError for a name that is nobody's.

    width: channels of the first stage, where a layout lets it vary. code: SHA-256 of the file that FILE.py:FUNCTION
    names, as it was when the weights were read; ArtifactError where the file is another today.
    """
    origin, _, rest = architecture.partition(":")
    if architecture in LITERATURE:
        return LITERATURE[architecture](classes, width)
    if origin == "ours" and rest in BACKBONES:
        return Ours(rest, classes, width)
    if origin == "torchvision":
        return _torchvision(rest, classes)
    if origin == "timm":
        return _timm(rest, classes)
    if origin.endswith(".py"):
        return _own_code(Path(origin), rest, code)
    raise ConfigError(
        f"architecture '{architecture}' is unknown; write a family, torchvision:NAME, timm:NAME or FILE.py:FUNCTION"
    )


def _torchvision(name: str, classes: int) -> nn.Module:
    from torchvision import models

    plain, small, pooled = name.partition(SMALL_STEM)
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # on first weights, which are replaced
            network: Any = models.get_model(plain, weights=None, num_classes=classes)
    except ValueError as error:
        raise ConfigError(f"torchvision has no model '{plain}'; see torchvision.models.list_models()") from error
    if small:
        network.conv1 = nn.Conv2d(3, network.conv1.out_channels, 3, 1, 1, bias=False)
        network.maxpool = network.maxpool if pooled else nn.Identity()
    return network  # type: ignore[no-any-return]


def _timm(name: str, classes: int) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise ConfigError(f"architecture timm:{name} needs timm, which is not installed; pip install timm") from error
    try:
        return timm.create_model(name, pretrained=False, num_classes=classes)  # type: ignore[no-any-return]
    except RuntimeError as error:
        raise ConfigError(f"timm has no model '{name}'; see timm.list_models()") from error


def is_own_code(architecture: str | None) -> bool:
    """Whether an architecture is code of the user's."""
    return architecture is not None and architecture.partition(":")[0].endswith(".py")


def _own_code(path: Path, function: str, code: str | None) -> nn.Module:
    """What a function in a file of the user's returns; the file is run, with its folder to import from."""
    named = f"architecture {path}:{function}"
    if not path.is_file():
        raise ConfigError(f"{named}: no such Python file")
    if code is not None and sha256_file(path) != code:
        raise ArtifactError(f"{path} is not the file that the weights were read with; plan and run again")
    spec = importlib.util.spec_from_file_location("lsp_outside_" + path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
        network = getattr(module, function)()
    except Exception as error:  # of code that is not ours
        raise ConfigError(f"{named} fails: {type(error).__name__}: {error}".partition("\n")[0]) from error
    finally:
        sys.path.pop(0)
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{named} returned {type(network).__name__}; return a torch.nn.Module")
    return network
