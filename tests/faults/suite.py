"""What the rows of the suite share: trials that inject faults, what did not hold, and the table of it all."""

import json
import random
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stages.core.files import write_json, write_text
from tests.faults.forks import forked
from tests.faults.world import World

BETWEEN_LINES = 60  # seconds
HEAD = ("fault", "injected", "held", "seconds")


class NotHeldError(AssertionError):
    """What did not hold in a trial, a reason each."""


class SkippedError(Exception):
    """A trial that cannot run here; the text says why."""


@dataclass(frozen=True)
class Size:
    """How much is injected: the CI's or the full size, and the seed that all of it is drawn from."""

    full: bool
    seed: int

    def of(self, ci: int, full: int) -> int:
        """The number for this size."""
        return full if self.full else ci

    def chance(self, *place: object) -> random.Random:
        """The stream of one trial."""
        return random.Random(" ".join(map(str, (self.seed, *place))))


@dataclass(frozen=True)
class Trial:
    """What it is done to, what is done, in a line, and the work, which raises where it did not hold.

    faults: how many it injects; each reason of a NotHeldError is one that did not hold, another error is one.
    """

    of: str
    said: str
    work: Callable[[], None]
    faults: int = 1


@dataclass(frozen=True)
class Row:
    """A row of the table: its name on the command line, the fault in words, and its trials.

    Trials do not depend on each other, so that one can be made again alone.
    """

    name: str
    fault: str
    trials: Callable[[World, Size], Iterable[Trial]]


@dataclass
class Counted:
    """Faults injected, those that held, and the seconds they took."""

    injected: int = 0
    held: int = 0
    seconds: float = 0.0

    def add(self, injected: int, held: int, seconds: float) -> None:
        """Count one trial."""
        self.injected += injected
        self.held += held
        self.seconds += seconds


@dataclass
class Told:
    """What came of a row: counts in all and by what the faults were done to, what did not hold, what was skipped.

    failures: what was done, why it did not hold, and the command that does it again.
    """

    name: str
    fault: str
    full: bool
    seed: int
    total: Counted = field(default_factory=Counted)
    parts: dict[str, Counted] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every fault that was injected held."""
        return self.total.held == self.total.injected

    @classmethod
    def read(cls, path: Path) -> "Told":
        """A row that an earlier call has finished."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        parts = {of: Counted(**counted) for of, counted in raw.pop("parts").items()}
        return cls(**{**raw, "total": Counted(**raw["total"])}, parts=parts)

    def write(self, path: Path) -> None:
        """Keep it for a later call."""
        write_json(path, asdict(self))


def run(row: Row, world: World, size: Size, only: int | None = None) -> Told:
    """Make a row's trials, or only the one of this number."""
    told = Told(row.name, row.fault, size.full, size.seed)
    skipped: Counter[str] = Counter()
    told_at = time.monotonic()
    for number, trial in enumerate(row.trials(world, size)):
        if only not in (None, number):
            continue
        started, reasons = time.monotonic(), tuple[str, ...]()
        try:
            trial.work()
        except SkippedError as error:
            skipped[str(error)] += trial.faults
            continue
        except NotHeldError as error:
            reasons = error.args
        except Exception as error:
            reasons = (f"{type(error).__name__}: {error}",)
        counts = trial.faults, trial.faults - len(reasons), time.monotonic() - started
        told.total.add(*counts)
        told.parts.setdefault(trial.of, Counted()).add(*counts)
        for reason in reasons:
            fault = f"{trial.of}: {trial.said}"
            told.failures.append({"fault": fault, "why": reason, "again": again(row, size, number)})
            print(f"not held: {fault}: {reason}", file=sys.stderr, flush=True)
        if time.monotonic() - told_at > BETWEEN_LINES:
            told_at = time.monotonic()
            print(
                f"{row.name}: {told.total.held:,} of {told.total.injected:,} held so far", file=sys.stderr, flush=True
            )
    told.skipped = dict(skipped)
    return told


def in_child(work: Callable[[], list[str]], folder: Path) -> None:
    """Do the work in a child in `folder`, so that it ends no suite; NotHeldError for the reasons it returns."""
    told = folder / "reasons.json"
    ended = forked(lambda: write_json(told, work()), folder)
    if ended.status:
        raise NotHeldError(f"the process ended with status {ended.status}: {ended.last}")
    if reasons := json.loads(told.read_text(encoding="utf-8")):
        raise NotHeldError(*reasons)


def again(row: Row, size: Size, number: int) -> str:
    """The command that makes one trial again."""
    words = ["python", "-m", "tests.faults", "--only", row.name, "--trial", str(number), "--seed", str(size.seed)]
    return shlex.join([*words, *(["--full"] if size.full else [])])


def lines(told: Iterable[Told]) -> Iterator[tuple[str, ...]]:
    """The table's lines: a row each, below it its parts where there are several."""
    for one in told:
        for of, counted in {one.fault: one.total, **(one.parts if len(one.parts) > 1 else {})}.items():
            name = of if counted is one.total else f"- {of}"
            yield name, f"{counted.injected:,}", f"{counted.held:,}", f"{counted.seconds:.0f}"


def text(told: list[Told]) -> str:
    """The table for a terminal, then what was skipped and what did not hold."""
    rows = [HEAD, *lines(told)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    table = [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(zipped))
        for zipped in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    skipped = [f"skipped, {one.name}: {count:,}, {why}" for one in told for why, count in one.skipped.items()]
    return "\n".join([*table, *skipped, *failed(told)])


def failed(told: list[Told]) -> Iterator[str]:
    """A line for each fault that did not hold, and below it the command that does it again."""
    for one in told:
        for failure in one.failures:
            yield f"not held, {one.name}: {failure['fault']}: {failure['why']}\n  {failure['again']}"


def write_page(folder: Path, told: list[Told], command: str) -> None:
    """The table as README.md beside the rows' records."""
    head = f"| {' | '.join(HEAD)} |\n| --- | ---: | ---: | ---: |"
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines(told))
    rest = "\n".join(f"- {line}" for one in told for line in one.skipped)
    skipped = f"\n\nSkipped, for this machine cannot do it:\n\n{rest}" if rest else ""
    names = ", ".join(f"`{one.name}`" for one in told)
    made = f"Made by `{command}`; a row alone by the same with `--only` {names}, in the order of the table."
    write_text(folder / "README.md", f"# Faults\n\n{made}\n\n{head}\n{body}{skipped}\n")
