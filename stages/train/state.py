"""Everything a training run needs to go on as if it had never stopped."""

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

    lr: at the epoch's start; sizes: images of each step done; lsp_losses: measured on some of the batches as they
    were trained on.
    """

    lr: float = field(kw_only=True)
    sizes: list[int] = field(default_factory=list)
    lsp_losses: list[Tensor] = field(default_factory=list)

    def means(self) -> dict[str, float]:
        """The metrics, means over the images seen, and the LSP loss while training, the mean over its batches."""
        sizes = torch.tensor(self.sizes)
        weighted = {name: values.cpu()[: len(sizes)] * sizes for name, values in self.metrics.items()}
        means = {name: float(values.numpy().cumsum()[-1]) / sum(self.sizes) for name, values in weighted.items()}
        if self.lsp_losses:
            means["lsp_training_loss"] = sum(map(float, self.lsp_losses)) / len(self.lsp_losses)
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
