"""Everything a training run needs to go on as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from stages.core.job import epochs
from stages.train.streams import RandomStreams


@dataclass
class Epoch(epochs.Epoch):
    """How far an epoch over the anchors has come.

    lr: at the epoch's start; images: seen so far; sums: each metric times its images, summed over the steps;
    lsp_losses: measured on some of the batches as they were trained on.
    """

    lr: float = field(kw_only=True)
    images: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    lsp_losses: list[float] = field(default_factory=list)

    def add(self, metrics: Mapping[str, Tensor], images: int) -> None:
        """Take in a step's metrics, means over its images."""
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value * images
        self.images += images

    def means(self) -> dict[str, float]:
        """The metrics, means over the images seen, and the LSP loss while training, the mean over its batches."""
        means = {name: float(total) / self.images for name, total in self.sums.items()}
        if self.lsp_losses:
            means["lsp_training_loss"] = sum(self.lsp_losses) / len(self.lsp_losses)
        return means


@dataclass
class TrainState(epochs.EpochState[Epoch]):
    """Model, optimizer, schedule, random streams, and the best weights so far."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: lr_scheduler.LRScheduler
    streams: RandomStreams
    best_weights: dict[str, Tensor] | None = None
    best_epoch: int = 0
    best_score: float = -1.0
    epoch_type: ClassVar[type[Any]] = Epoch

    @property
    def device(self) -> torch.device:
        """The model's."""
        return next(self.model.parameters()).device

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        lr: float = self.optimizer.param_groups[0]["lr"]
        return lr

    def contents(self) -> dict[str, Any]:
        """All of it, to be saved."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "streams": self.streams.state(),
            "best_weights": self.best_weights,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
        }

    def take_up(self, contents: dict[str, Any]) -> None:
        """Take up what was saved."""
        self.model.load_state_dict(contents["model"])
        self.optimizer.load_state_dict(contents["optimizer"])
        self.schedule.load_state_dict(contents["schedule"])
        self.streams.restore(contents["streams"])
        self.best_weights, self.best_epoch = contents["best_weights"], contents["best_epoch"]
        self.best_score = contents["best_score"]

    def keep_best(self, score: float) -> None:
        """Keep a copy of the weights if `score` is higher than any before."""
        if score > self.best_score:
            self.best_score, self.best_epoch = score, self.epoch
            self.best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
