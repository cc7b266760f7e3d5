"""Training by epochs and steps that may be interrupted at any moment and resumed as if it had not been.

A step is never cut: a signal waits for its end. What comes after an epoch's last step changes nothing until
`finishing`; a signal cuts it, and the next attempt does it again.
"""

import contextlib
import operator
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from stages.core.errors import DivergenceError
from stages.core.job.interrupt import uninterrupted
from stages.core.job.progress import log_line, progress
from stages.core.job.resume import load_state, save_state, taking_up
from stages.core.job.saving import saving

Row = dict[str, float]
UNSAID = ("epoch", "lr", "seconds")
CHECKED_EVERY = 50  # steps: reading a loss makes the host wait for the device


@dataclass
class Epoch:
    """How far an epoch has come.

    order: what is trained on (N,), in this order; steps: of the epoch; step: steps done; seconds: spent so far,
    interruptions left out; metrics: `loss` and others of each step (steps,), on the device, 0 for those to come.
    """

    order: Tensor
    steps: int
    step: int = 0
    seconds: float = 0.0
    metrics: dict[str, Tensor] = field(default_factory=dict)

    def batch(self, size: int) -> Tensor:
        """What the next step trains on (B,)."""
        return self.order[self.step * size : (self.step + 1) * size]

    def record(self, metrics: Mapping[str, Tensor]) -> None:
        """Take in the scalar metrics of the step under way; nothing is read from the device."""
        for name, value in metrics.items():
            self.metrics.setdefault(name, value.new_zeros(self.steps))[self.step] = value

    def diverged(self) -> tuple[int, dict[str, float]] | None:
        """The first step whose loss is not finite, from 1, and its metrics; None where there is none."""
        finite = self.metrics["loss"].isfinite().tolist() if self.metrics else []
        if all(finite):
            return None
        step = finite.index(False)
        return step + 1, {name: float(values[step]) for name, values in self.metrics.items()}


E = TypeVar("E", bound=Epoch)


@dataclass
class EpochState(ABC, Generic[E]):
    """What a training needs to go on: the place inside the epoch, the history, and all that a subclass adds.

    Law: a run that is interrupted after any step and resumed equals one that is not, bit for bit on one machine.
    epoch: finished epochs; current_epoch: the one after them, None until it begins; history: a row an epoch.
    """

    epoch: int = field(default=0, kw_only=True)
    current_epoch: E | None = field(default=None, kw_only=True)
    history: list[Row] = field(default_factory=list, kw_only=True)
    epoch_type: ClassVar[type[Any]]

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the tensors of a saved state belong."""

    @abstractmethod
    def contents(self) -> dict[str, Any]:
        """What a subclass adds, to be saved."""

    @abstractmethod
    def take_up(self, contents: dict[str, Any]) -> None:
        """Take up what `contents` gave."""

    @property
    def place(self) -> str:
        """Where the run is, in words."""
        return f"after epoch {self.epoch}, step {self.current_epoch.step if self.current_epoch else 0}"

    def save(self, path: Path, key: str) -> None:
        """Write the state whole or not at all; `key` names the run it belongs to."""
        current = None if self.current_epoch is None else vars(self.current_epoch)
        place = {"epoch": self.epoch, "current_epoch": current, "history": self.history}
        save_state(path, key, {**place, **self.contents()})

    def restore(self, path: Path, key: str) -> bool:
        """Take up a saved state of the same run; a damaged one, or one of other settings or code, is left aside."""
        record = load_state(path, key, self.device)
        if record is None:
            return False
        with taking_up(path):
            current = record["current_epoch"]
            self.current_epoch = None if current is None else self.epoch_type(**current)
            self.epoch, self.history = operator.index(record["epoch"]), [{**row} for row in record["history"]]
            self.take_up(record)
        log_line(f"resumed {self.place}")
        return True

    def finish(self, row: Row) -> None:
        """The epoch is done, and this is its row of the history."""
        self.epoch += 1
        self.current_epoch = None
        self.history.append({"epoch": self.epoch, **row})


@dataclass
class Course(Generic[E]):
    """What is left of a training: its epochs, their steps, and the end of each epoch.

    what: an epoch's name in lines and bars; last: number of the last epoch.
    """

    state: EpochState[E]
    what: str
    last: int
    check: Callable[[], None]
    save: Callable[[], None]
    save_if_due: Callable[[], None]
    stepped_at: float = field(default_factory=time.monotonic)

    def epochs(self, begin: Callable[[], E]) -> Iterator[E]:
        """The epochs left, the first perhaps under way; `begin` makes one. The body ends each by `finishing`."""
        while self.state.epoch < self.last:
            with uninterrupted():
                if self.state.current_epoch is None:
                    self.state.current_epoch = begin()
            yield self.state.current_epoch

    def steps(self, epoch: E) -> Iterator[int]:
        """The steps left of an epoch, from 0; the body is one step, which no signal cuts."""
        what, left = f"{self.what} {self.state.epoch + 1}", range(epoch.step, epoch.steps)
        for step in progress(left, what, len(left)):
            with uninterrupted():
                started = time.monotonic()
                yield step
                epoch.step += 1
                if epoch.step % CHECKED_EVERY == 0 or epoch.step == epoch.steps:
                    self.check()
                epoch.seconds += time.monotonic() - started
            self.save_if_due()
        self.stepped_at = time.monotonic()

    @contextlib.contextmanager
    def finishing(self, epoch: E, row: Row) -> Iterator[None]:
        """The epoch ends with this row of the history; the body changes the state by it, and then it is saved."""
        with uninterrupted():
            self.state.finish({**row, "seconds": epoch.seconds + time.monotonic() - self.stepped_at})
            yield
            self.save()
            log_line(said(self.what, self.state.history[-1], self.last))


@contextlib.contextmanager
def course(
    state: EpochState[E], file: Path, key: str, *, what: str, epochs: int, loss: str, cure: str
) -> Iterator[Course[E]]:
    """Go on from the state in `file` if it is of the run `key`; save it there now and then and when interrupted.

    DivergenceError within CHECKED_EVERY steps of one whose loss is not finite, and in any case before a state is saved;
    it names the step. loss, cure: whose loss it is and what helps, for that error.
    """

    def check() -> None:
        wrong = None if state.current_epoch is None else state.current_epoch.diverged()
        if wrong is not None:
            step, metrics = wrong
            parts = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
            raise DivergenceError(
                f"{loss} is {metrics['loss']} at {what} {state.epoch + 1} step {step} (parts: {parts}); {cure}"
            )

    def save() -> None:
        check()
        state.save(file, key)

    def place() -> str:
        return state.place if state.current_epoch is None else f"{state.place} of {state.current_epoch.steps}"

    state.restore(file, key)
    with saving(save, place) as save_if_due:
        yield Course(state, what, epochs, check, save, save_if_due)


def said(what: str, row: Row, last: int) -> str:
    """An epoch's line in the log: what was measured, and the seconds it took."""
    parts = [f"{name} {value:.4f}" for name, value in row.items() if name not in UNSAID and value == value]
    return f"{what} {row['epoch']:.0f}/{last}: {', '.join(parts)}, {row['seconds']:.1f} s"
