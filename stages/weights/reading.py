"""The tensors of a file that nobody here wrote: nothing in it is executed, whatever it holds."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from stages.core.ceilings import require_plain_zip
from stages.core.errors import ArtifactError, ConfigError

USUAL = ("", "state_dict", "model_state_dict", "model", "net", "network", "classifier")
PREFIXES = ("module.", "model.", "_orig_mod.", "net.", "network.", "encoder.")
QUERY = "encoder_q."  # MoCo's own checkpoints hold the key encoder and the queue beside it
MEANS, DEVIATIONS = ("mean", "mu"), ("std", "sigma")
COUNTERS = ("n_averaged",)  # of torch.optim.swa_utils.AveragedModel, beside the net's own names
START = 512  # bytes that tell a file that is none


@dataclass(frozen=True)
class Found:
    """A file's state_dict as it stands there and without prefixes, and what is to be said of it.

    key: where it stands in the file; others: keys of further ones; mean, std: a normalization that stands beside it.
    """

    raw: dict[str, Tensor]
    tensors: dict[str, Tensor]
    key: str
    others: tuple[str, ...]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None


def read_state(path: Path, wanted: str | None = None) -> Found:
    """The state_dict of a file, or of several the one under the key `wanted`.

    ArtifactError for a file that holds none; ConfigError where it holds several and none is the usual one.
    """
    states = dict(_states(_content(path), "", 0))
    _require_rectified(path)
    if not states:
        raise ArtifactError(f"{path}: holds no state_dict; save one by torch.save(model.state_dict(), …)")
    if wanted is not None and wanted not in states:
        raise ConfigError(f"weights '{wanted}': {path} has {_listed(states)}; write one of them")
    key = wanted if wanted is not None else _usual(states, path)
    tensors, mean, std = _stripped(states[key])
    if mean is not None and max(mean) > 1:
        raise ConfigError(f"{path}: its normalization, mean {list(mean)}, is of pixels up to 255; write mean and std")
    return Found(states[key], tensors, key, tuple(other for other in states if other != key), mean, std)


def _content(path: Path) -> Any:
    """What the file holds, unpickled by PyTorch's restricted reader."""
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file")
    with path.open("rb") as stream:
        start = stream.read(START)
    if start.lstrip()[:1] == b"<":
        raise ArtifactError(f"{path}: is a web page, no weights; the link leads to a page, so download from it by hand")
    if start.startswith(b"version https://git-lfs"):
        raise ArtifactError(f"{path}: is a Git LFS pointer, no weights; run `git lfs pull` where it comes from")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        require_plain_zip(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except ArtifactError:
        raise
    except Exception as error:  # whatever goes wrong inside a reader, the bytes are to blame
        if asked := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise ArtifactError(
                f"{path}: asks to run {asked[1]}, which loading weights never does; save the state_dict alone, by"
                " torch.save(model.state_dict(), …)"
            ) from error
        reason = str(error).strip().partition("\n")[0]
        raise ArtifactError(f"{path}: no readable weights ({reason}); get the file again") from error


def _states(content: Any, key: str, depth: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every mapping of names to tensors, by where it stands; below an optimizer's there is none."""
    if not isinstance(content, Mapping):
        return
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and _is_plain(value)}
    if any(name.endswith("weight") for name in tensors):
        yield key, tensors
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, Mapping) and depth < 3:
            yield from _states(value, f"{key}.{name}" if key else name, depth + 1)


def _is_plain(value: Any) -> bool:
    """Whether it is a tensor whose numbers are all there, one by one: neither sparse nor packed nor repeated."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and not (value.is_quantized or value.is_complex() or value.is_meta)
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def _require_rectified(path: Path) -> None:
    """ArtifactError for a checkpoint of ours with an activation that its tensors do not tell."""
    if path.suffix != ".safetensors":
        return
    with safetensors.safe_open(path, framework="pt") as stream:
        metadata = stream.metadata() or {}
    activation = "relu"
    with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):  # not one of ours
        activation = json.loads(json.loads(metadata["artifact"])["architecture"]).get("activation", "relu")
    if activation != "relu":
        raise ArtifactError(
            f"{path}: a checkpoint of ours with activation {activation}, and by its tensors it would be read as one"
            " with relu; attack it as it is, by `python -m stages.attack`"
        )


def _usual(states: Mapping[str, Any], path: Path) -> str:
    """The one to take where none is asked for: under a usual key, or the only one that is no moving average."""
    plain = [key for key in states if "ema" not in key.lower()] or list(states)
    for key in USUAL:
        if key in plain:
            return key
    if len(plain) > 1:
        raise ConfigError(f"{path} holds several state_dicts: {_listed(states)}; write which as `weights:`")
    return plain[0]


def _listed(states: Mapping[str, Any]) -> str:
    return ", ".join(f"'{key}'" for key in states)


def _stripped(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[float, ...] | None, tuple[float, ...] | None]:
    """A state_dict without what wraps the network's own names, and the normalization that a wrapper held."""
    statistics = {name: value for name, value in state.items() if _is_statistic(name, value)}
    own = {name: value for name, value in state.items() if name not in statistics and name not in COUNTERS}
    while prefix := _prefix(own):
        own = {name.removeprefix(prefix): value for name, value in own.items() if name.startswith(prefix)}
    mean, std = (
        {tuple(value.flatten().tolist()) for name, value in statistics.items() if _last(name) in names}
        for names in (MEANS, DEVIATIONS)
    )
    if len(mean) == len(std) == 1:  # of several that differ none is taken
        return own, mean.pop(), std.pop()
    return own, None, None


def _is_statistic(name: str, value: Tensor) -> bool:
    return _last(name) in (*MEANS, *DEVIATIONS) and value.numel() == 3


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _prefix(names: Mapping[str, Any]) -> str:
    """A wrapper's name in front of all names: a usual one, or the number of a Sequential's only part with weights.

    Of MoCo's parts the query encoder's, which not all have.
    """
    if any(name.startswith(QUERY) for name in names):
        return QUERY
    first = next(iter(names)).partition(".")[0] + "."
    usual = first in PREFIXES or first[:-1].isdigit()
    return first if usual and all(name.startswith(first) for name in names) else ""
