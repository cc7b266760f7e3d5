"""Everything a training run needs to go on as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from stages.core.job.progress import log_line
from stages.core.job.resume import load_state, save_state
from stages.train.streams import RandomStreams


@dataclass
class Epoch:
    """How far an epoch has come.

    order: the anchors (A,) in the order they are trained on; lr: at the epoch's start; step: steps done; images: seen
    in them; sums: each metric times its images, summed over the steps; lsp_losses: measured on some of the batches as
    they were trained on; seconds: spent so far, interruptions left out.
    """

    order: Tensor
    lr: float
    step: int = 0
    images: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    lsp_losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def batch(self, size: int) -> Tensor:
        """The anchors (B,) of the next step."""
        return self.order[self.step * size : (self.step + 1) * size]

    def add(self, metrics: Mapping[str, Tensor], images: int) -> None:
        """Take in a step's metrics, means over its images."""
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value * images
        self.images += images
        self.step += 1

    def means(self) -> dict[str, float]:
        """The metrics, means over the images seen, and the LSP loss while training, the mean over its batches."""
        means = {name: float(total) / self.images for name, total in self.sums.items()}
        if self.lsp_losses:
            means["lsp_training_loss"] = sum(self.lsp_losses) / len(self.lsp_losses)
        return means


@dataclass
class TrainState:
    """Model, optimizer, schedule, random streams, the place inside the epoch, the history and the best weights so far.

    Law: a run that is interrupted after any step and resumed equals one that is not, bit for bit on one machine.
    epoch: finished epochs; current_epoch: the one after them, None until it begins.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: lr_scheduler.LRScheduler
    streams: RandomStreams
    epoch: int = 0
    current_epoch: Epoch | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    best_weights: dict[str, Tensor] | None = None
    best_epoch: int = 0
    best_score: float = -1.0

    @property
    def place(self) -> str:
        """Where the run is, in words."""
        return f"after epoch {self.epoch}, step {self.current_epoch.step if self.current_epoch else 0}"

    def save(self, path: Path, key: str) -> None:
        """Write the state whole or not at all; `key` names the run it belongs to."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "streams": self.streams.state(),
            "epoch": self.epoch,
            "current_epoch": None if self.current_epoch is None else vars(self.current_epoch),
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
        self.current_epoch = None if record["current_epoch"] is None else Epoch(**record["current_epoch"])
        self.best_weights, self.best_epoch = record["best_weights"], record["best_epoch"]
        self.best_score = record["best_score"]
        log_line(f"resumed {self.place}")
        return True

    def keep_best(self, score: float) -> None:
        """Keep a copy of the weights if `score` is higher than any before."""
        if score > self.best_score:
            self.best_score, self.best_epoch = score, self.epoch
            self.best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
