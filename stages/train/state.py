"""Everything a training run needs to go on as if it had never stopped."""

import pickle
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from stages.core.files import atomic
from stages.core.progress import say
from stages.train.bank import Streams

UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
)


@dataclass
class TrainState:
    """Model, optimizer, schedule, random streams, the history so far and the weights that are best so far.

    Law: a run that is interrupted and resumed equals one that is not, bit for bit on one machine.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: lr_scheduler.LRScheduler
    streams: Streams
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_weights: dict[str, Tensor] | None = None
    best_epoch: int = 0
    best_score: float = -1.0

    def save(self, path: Path, key: str) -> None:
        """Write the state whole or not at all; `key` names the run it belongs to."""
        record = {
            "key": key,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "streams": self.streams.state(),
            "epoch": self.epoch,
            "history": self.history,
            "best_weights": self.best_weights,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
        }
        with atomic(path) as temporary:
            torch.save(record, temporary)

    def restore(self, path: Path, key: str) -> bool:
        """Take up a saved state of the same run; a damaged one, or one of other settings or code, is left aside."""
        if not path.is_file():
            return False
        try:
            record = _load(path, next(self.model.parameters()).device)
        except UNREADABLE as error:
            say(f"{path}: not a readable resume state ({type(error).__name__}); training starts over")
            return False
        if record.get("key") != key:
            say(f"{path}: belongs to other settings, inputs or code; training starts over")
            return False
        self.model.load_state_dict(record["model"])
        self.optimizer.load_state_dict(record["optimizer"])
        self.schedule.load_state_dict(record["schedule"])
        self.streams.restore(record["streams"])
        self.epoch, self.history = record["epoch"], record["history"]
        self.best_weights, self.best_epoch = record["best_weights"], record["best_epoch"]
        self.best_score = record["best_score"]
        say(f"resumed after epoch {self.epoch}")
        return True

    def keep_best(self, score: float) -> None:
        """Keep a copy of the weights if `score` is higher than any before."""
        if score > self.best_score:
            self.best_score, self.best_epoch = score, self.epoch
            self.best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}


def _load(path: Path, device: torch.device) -> dict[str, Any]:
    """The saved record; one of UNREADABLE for a damaged file, whose checksums torch.load itself does not compare."""
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"{damaged} differs from its checksum")
    record = torch.load(path, map_location=device, weights_only=True)
    if not isinstance(record, dict):
        raise ValueError("not a saved state")
    return record
