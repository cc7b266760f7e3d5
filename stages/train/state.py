"""Everything a training run needs to go on as if it had never stopped."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from stages.core.progress import say
from stages.core.resume import load_state, save_state
from stages.train.bank import Streams


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
        state = {
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
        save_state(path, key, state)

    def restore(self, path: Path, key: str) -> bool:
        """Take up a saved state of the same run; a damaged one, or one of other settings or code, is left aside."""
        record = load_state(path, key, next(self.model.parameters()).device)
        if record is None:
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
