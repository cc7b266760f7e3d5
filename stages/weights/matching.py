"""Which architecture a state_dict is of, told by its tensors' names and shapes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stages.core.config.plugins import nearest
from stages.core.errors import ConfigError
from stages.core.models.architectures import alike, build, families
from stages.core.models.architectures.wide_resnet import UNUSED

SHOWN = 4  # tensors that differ, in a message
COUNTER = "num_batches_tracked"

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Fit:
    """Architectures that the tensors fit, the first stage's channels, and tensors of the file that are never run.

    There are several where names and shapes cannot tell (`stages.core.models.architectures.alike`).
    """

    architectures: tuple[str, ...]
    width: int
    unused: tuple[str, ...]


def recognize(tensors: Mapping[str, Tensor], asked: str | None, classes: int) -> Fit:
    """The architecture whose parameters have these names and shapes, among those that go by the name `asked`, or all.

    ConfigError where none fits, with the closest and the tensors in which it differs, and where the last layer is not
    of so many classes. Code of the user's is another matter (`stages.weights.own`).
    """
    there = shapes(tensors)
    width = next((shape[0] for shape in there.values() if len(shape) == 4), 64)
    closest: tuple[float, str, Shapes] | None = None
    for name in _candidates(asked):
        wanted = _shapes(name, classes, width)
        if wanted is None:
            continue
        unused = tuple(sorted(set(there) - set(wanted)))
        if _without_counters(wanted).items() <= there.items() and all(one.startswith(UNUSED) for one in unused):
            return Fit((name,) if asked == name else tuple(alike(name)), width, unused)
        shared = len(wanted.items() & there.items()) / len(wanted.keys() | there.keys())
        if closest is None or shared > closest[0]:
            closest = shared, name, wanted
    _require_classes(tensors, classes)
    assert closest is not None
    raise ConfigError(_differs(there, closest[1], closest[2], asked))


def _candidates(asked: str | None) -> Iterator[str]:
    """Names of architectures, those of the field first."""
    known = families()
    if asked is None:
        yield from (name for names in known.values() for name in names if not name.startswith("torchvision:"))
        yield from (name for names in known.values() for name in names if name.startswith("torchvision:"))
    elif ":" in asked:
        yield asked
    elif asked in known:
        yield from known[asked]
    else:
        raise ConfigError(
            f"architecture '{asked}' is unknown {nearest(asked, list(known))}; torchvision:NAME, timm:NAME and"
            " FILE.py:FUNCTION are taken too"
        )


def _shapes(name: str, classes: int, width: int) -> Shapes | None:
    """Of an architecture's parameters and buffers, without memory for them; None where it cannot be of this width."""
    try:
        with torch.device("meta"):
            network: nn.Module = build(name, classes, width)
    except (ValueError, RuntimeError, TypeError):
        return None
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def _without_counters(shapes: Shapes) -> Shapes:
    """Batch norm's counters are missing in old files, and nothing hangs on them."""
    return {name: shape for name, shape in shapes.items() if not name.endswith(COUNTER)}


def _require_classes(tensors: Mapping[str, Tensor], classes: int) -> None:
    heads = [(name, value) for name, value in tensors.items() if value.ndim == 2]
    if heads and len(heads[-1][1]) != classes:
        name, value = heads[-1]
        raise ConfigError(
            f"{name} is of {len(value)} classes and the data set has {classes}; name the data set that it was trained"
            " on"
        )


def shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    """Of each tensor."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _differs(there: Shapes, name: str, wanted: Shapes, asked: str | None) -> str:
    """The closest architecture, and how it differs."""
    said = f"architecture {asked} does not fit" if asked else "no architecture fits"
    return f"{said}; the closest, {name}, {differences(there, wanted)}; for your own write FILE.py:FUNCTION"


def differences(there: Shapes, wanted: Shapes) -> str:
    """What of a net the tensors lack, have besides, or have of another shape, the first few of each."""
    wanted = _without_counters(wanted)
    missing = [key for key in wanted if key not in there]
    unexpected = [key for key in there if key not in wanted and not key.endswith(COUNTER)]
    other = [f"{key} {there[key]} for {wanted[key]}" for key in wanted if key in there and there[key] != wanted[key]]
    parts = [
        f"{what}: {', '.join(keys[:SHOWN])}{f' and {len(keys) - SHOWN} more' if len(keys) > SHOWN else ''}"
        for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
        if keys
    ]
    return f"differs ({'; '.join(parts)})"
