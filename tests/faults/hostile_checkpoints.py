"""Hostile checkpoints of others, and saved states that do not fit their run."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stages.attack.state import AttackState
from stages.core.errors import StageError
from stages.core.job.epochs import Epoch, EpochState
from stages.core.job.resume import load_state, save_state
from stages.features.official import read_official
from stages.weights.reading import read_state
from tests.faults.packed import GIB, deflated, zip_of
from tests.faults.untrusted import CANARY, Hostile, written
from tests.unit.drawing import CPU

KEY = "of this run"
ONE = torch.ones(4, 3)


@dataclass
class Small(EpochState[Epoch]):
    """The state of a training of one layer."""

    layer: nn.Module
    epoch_type: ClassVar[type[Any]] = Epoch

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return CPU

    def contents(self) -> dict[str, Any]:
        """The layer's weights."""
        return {"layer": self.layer.state_dict()}

    def take_up(self, contents: dict[str, Any]) -> None:
        """Take up what was saved."""
        self.layer.load_state_dict(contents["layer"])


class Called:
    """Unpickling it makes a folder beside the file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder / CANARY),)


def trained(path: Path) -> None:
    """As a training takes up its state; one that cannot be read is no error, for it starts over and says so."""
    if not Small(nn.Linear(3, 2)).restore(path, KEY):
        raise StageError(f"{path}: starting over")


def attacked(path: Path) -> None:
    """As an attack takes up its state."""
    AttackState().restore(path, KEY)


def loaded(path: Path) -> None:
    """As any stage takes up a state."""
    if load_state(path, KEY, CPU) is None:
        raise StageError(f"{path}: starting over")


def state(name: str, read: Callable[[Path], object], content: dict[str, Any], *said: str) -> Hostile:
    """A saved state of the right run that holds this."""

    def make(folder: Path) -> Path:
        save_state(folder / "state.pt", KEY, content)
        return folder / "state.pt"

    return Hostile(f"state: {name}", make, read, said=said or ("that does not fit it",))


def small(**changes: Any) -> dict[str, Any]:
    """A state of `Small`, but for some parts."""
    whole = {"epoch": 1, "history": [{"epoch": 1.0}], "current_epoch": None, "layer": nn.Linear(3, 2).state_dict()}
    return {key: value for key, value in {**whole, **changes}.items() if value is not ...}


def saved(content: Callable[[Path], Any], how: str = "torch", name: str = "other.pt") -> Callable[[Path], Path]:
    """A generator of a file of others: torch, torch's form of before 2020, or a plain pickle."""

    def make(folder: Path) -> Path:
        path = folder / name
        if how == "pickle":
            path.write_bytes(pickle.dumps(content(folder)))
        else:
            torch.save(content(folder), path, _use_new_zipfile_serialization=how == "torch")
        return path

    return make


def checkpoint(name: str, make: Callable[[Path], Path], *said: str) -> Hostile:
    """Weights that are given to be evaluated."""
    return Hostile(f"checkpoint: {name}", make, read_state, said=said)


def of(tensor: Tensor) -> Callable[[Path], Any]:
    """A state_dict of one tensor."""
    return lambda folder: {"layer.weight": tensor}


def unpacking(folder: Path) -> Path:
    """A checkpoint whose one record unpacks to 1 GB."""
    return zip_of(folder / "other.pt", "archive/data/0", deflated(b""), GIB)


def without_pickle(folder: Path) -> Path:
    """A zip, as torch writes one, that holds something else."""
    with zipfile.ZipFile(folder / "other.pt", "w") as archive:
        archive.writestr("archive/other", "x")
    return folder / "other.pt"


def sliced(folder: Path) -> Path:
    """Half of a checkpoint."""
    stream = io.BytesIO()
    torch.save({"layer.weight": ONE}, stream)
    return written(stream.getvalue()[: len(stream.getvalue()) // 2], "other.pt")(folder)


CALLS = {
    how: saved(lambda folder: {"state_dict": {"layer.weight": ONE}, "x": Called(folder)}, how)
    for how in ("torch", "legacy", "pickle")
}
CODE = {how: saved(lambda folder: Called(folder), how, "state.pt") for how in ("torch", "legacy", "pickle")}
HOSTILE = (
    *(checkpoint(f"code, by {how}", make) for how, make in CALLS.items()),
    checkpoint("a pickled net", saved(lambda folder: nn.Linear(2, 2)), "asks to run", "save the state_dict alone"),
    checkpoint("1 GB in 1 MB", unpacking, "LSP_CEILINGS=16"),
    checkpoint("half of one", sliced, "no readable weights"),
    checkpoint("a zip of something else", without_pickle, "no readable weights"),
    checkpoint("a web page", written(b"<!DOCTYPE html>", "other.pt"), "is a web page"),
    checkpoint("a pointer", written(b"version https://git-lfs.github.com/spec/v1\n", "other.pt"), "git lfs pull"),
    checkpoint("nothing", written(b"", "other.pt"), "no readable weights"),
    checkpoint("a number", saved(lambda folder: 3), "holds no state_dict"),
    checkpoint("a sparse tensor", saved(of(ONE.to_sparse())), "holds no state_dict"),
    checkpoint("a tensor of 10^12, all one number", saved(of(torch.ones(1).expand(10**6, 10**6))), "no state_dict"),
    checkpoint("complex numbers", saved(of(ONE.to(torch.complex64))), "holds no state_dict"),
    checkpoint("several", saved(lambda folder: {name: {"a.weight": ONE} for name in "ab"}), "several state_dicts"),
    checkpoint("a header of 2^62", written((2**62).to_bytes(8, "little"), "other.safetensors"), "no readable weights"),
    Hostile("MoCo: code", CALLS["torch"], read_official, said=("could run code",)),
    Hostile("MoCo: 1 GB in 1 MB", unpacking, read_official, said=("LSP_CEILINGS=16",)),
    Hostile("MoCo: no state_dict", saved(lambda folder: [1]), read_official, said=("no `state_dict`",)),
    Hostile("MoCo: of words", saved(lambda folder: {"state_dict": {"module.encoder_q.a": "x"}}), read_official),
    Hostile("MoCo: another net", saved(lambda folder: {"state_dict": {"module.encoder_q.a": ONE}}), read_official),
    Hostile("MoCo: a zip of something else", without_pickle, read_official, said=("not a readable checkpoint",)),
    state("of other shapes", trained, small(layer=nn.Linear(4, 2).state_dict())),
    state("without its weights", trained, small(layer=...)),
    state("weights are a list", trained, small(layer=[1])),
    state("an epoch in words", trained, small(epoch="one")),
    state("a history of numbers", trained, small(history=[1, 2])),
    state("an epoch under way that is a number", trained, small(current_epoch=3)),
    state("an epoch under way of other parts", trained, small(current_epoch={"stride": 3})),
    state("attacks are a list", attacked, {"attacks": [1]}),
    state("an attack is a number", attacked, {"attacks": {"pgd": 3}}),
    state("verdicts of other parts", attacked, {"attacks": {"pgd": {"batches": {0: {"a": ONE}}}}}),
    *(Hostile(f"state: code, by {how}", make, loaded) for how, make in CODE.items()),
    Hostile("state: 1 GB in 1 MB", lambda folder: unpacking(folder).rename(folder / "state.pt"), loaded),
    Hostile("state: of another run", saved(lambda folder: {"key": "x", "state": {}}, "torch", "state.pt"), loaded),
)
