"""Everything MoCo pre-training needs to go on as if it had never stopped."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from stages.core.job.epochs import Epoch, EpochState
from stages.features.contrast import Queue
from stages.features.network import Encoder


@dataclass
class PretrainState(EpochState[Epoch]):
    """Both encoders, queue, optimizer and the one random stream."""

    query: Encoder
    key: Encoder
    queue: Queue
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    epoch_type: ClassVar[type[Any]] = Epoch

    @property
    def device(self) -> torch.device:
        """The queue's."""
        return self.queue.keys.device

    def contents(self) -> dict[str, Any]:
        """All of it, to be saved."""
        return {
            "query": self.query.state_dict(),
            "key": self.key.state_dict(),
            "queue": self.queue.keys,
            "pointer": self.queue.pointer,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def take_up(self, contents: dict[str, Any]) -> None:
        """Take up what was saved."""
        self.query.load_state_dict(contents["query"])
        self.key.load_state_dict(contents["key"])
        self.queue.keys, self.queue.pointer = contents["queue"], contents["pointer"]
        self.optimizer.load_state_dict(contents["optimizer"])
        self.generator.set_state(contents["generator"].cpu())
