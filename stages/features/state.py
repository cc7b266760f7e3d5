"""Everything MoCo pre-training needs to go on as if it had never stopped."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from stages.core.job.progress import log_line
from stages.core.job.resume import load_state, save_state
from stages.features.contrast import Queue
from stages.features.network import Encoder


@dataclass
class Epoch:
    """How far an epoch has come.

    order: all images (N,) in the order they are trained on; losses: (steps,) of the steps done, 0 for those to come;
    step: steps done; seconds: spent so far, interruptions left out.
    """

    order: Tensor
    losses: Tensor
    step: int = 0
    seconds: float = 0.0


@dataclass
class PretrainState:
    """Both encoders, queue, optimizer, the one random stream, the place inside the epoch, and the history.

    Law: a run that is interrupted after any step and resumed equals one that is not, bit for bit on one machine.
    epoch: finished epochs; current_epoch: the one after them, None until it begins.
    """

    query: Encoder
    key: Encoder
    queue: Queue
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    epoch: int = 0
    current_epoch: Epoch | None = None
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Where the run is, in words."""
        return f"after epoch {self.epoch}, step {self.current_epoch.step if self.current_epoch else 0}"

    def save(self, path: Path, run: str) -> None:
        """Write the state whole or not at all; `run` names what it belongs to."""
        state = {
            "query": self.query.state_dict(),
            "key": self.key.state_dict(),
            "queue": self.queue.keys,
            "pointer": self.queue.pointer,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "epoch": self.epoch,
            "current_epoch": None if self.current_epoch is None else vars(self.current_epoch),
            "history": self.history,
        }
        save_state(path, run, state)

    def restore(self, path: Path, run: str) -> None:
        """Take up a saved state of the same run; a damaged one, or one of other settings, data or code, is left."""
        record = load_state(path, run, self.queue.keys.device)
        if record is None:
            return
        self.query.load_state_dict(record["query"])
        self.key.load_state_dict(record["key"])
        self.queue.keys, self.queue.pointer = record["queue"], record["pointer"]
        self.optimizer.load_state_dict(record["optimizer"])
        self.generator.set_state(record["generator"].cpu())
        self.epoch, self.history = record["epoch"], record["history"]
        self.current_epoch = None if record["current_epoch"] is None else Epoch(**record["current_epoch"])
        log_line(f"resumed {self.place}")
