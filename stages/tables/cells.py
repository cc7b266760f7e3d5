"""Cells of a table: accuracies over runs, their spread, and what is missing.

A cell is the mean over its seeds' runs. Its interval is Wilson's (1927) at 95 % for the n test images: of the count k
for one seed; for several, which all share the same images, of the mean count rounded to a whole image. It speaks of
the draw of the test images, the standard deviation (ddof 1) of the seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pyarrow as pa
from scipy.stats import binomtest

from stages.core.artifacts import read_outcomes
from stages.core.errors import ArtifactError
from stages.core.files import write_text
from stages.core.progress import say
from stages.tables.answers import answer
from stages.tables.listing import csv_text
from stages.tables.paper import Key, Published
from stages.tables.plan import Column, Plan, Row, Run

CLEAN = "clean"
CSV_HEAD = (
    "dataset",
    "row",
    "column",
    "accuracy",
    "sd",
    "seeds",
    "n",
    "wilson_low",
    "wilson_high",
    "paper",
    "difference",
    "missing",
)
Reader = Callable[[str], pa.Table | None]


@dataclass(frozen=True)
class Gap:
    """A run that a cell lacks, and why."""

    run: str
    reason: str


@dataclass(frozen=True)
class Cell:
    """One row under one attack; fractions in [0, 1] by seed, everything else in percent."""

    row: Row
    column: Column
    fractions: tuple[float, ...]
    images: int
    gaps: tuple[Gap, ...] = ()
    paper: Decimal | None = None

    @property
    def accuracy(self) -> float | None:
        """Mean over the seeds that are there, to two decimals as shown; None where there is none."""
        return round(100 * fmean(self.fractions), 2) if self.fractions else None

    @property
    def sd(self) -> float | None:
        """Sample standard deviation over seeds; None below two."""
        return 100 * stdev(self.fractions) if len(self.fractions) > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the mean count among the images."""
        return wilson(round(fmean(self.fractions) * self.images), self.images) if self.fractions else None

    @property
    def difference(self) -> float | None:
        """Ours less the paper's, in percentage points: positive where ours is higher."""
        if self.accuracy is None or self.paper is None:
            return None
        return round(self.accuracy - float(self.paper), 2) + 0.0


def wilson(count: int, images: int) -> tuple[float, float]:
    """95 % Wilson interval of `count` in `images`, in percent."""
    found = binomtest(count, images).proportion_ci(confidence_level=0.95, method="wilson")
    return 100 * float(found.low), 100 * float(found.high)


def score(plan: Plan, root: Path, paper: dict[Key, Published]) -> list[Cell]:
    """Every cell of a plan, by data set, row and column; a missing or damaged file becomes a gap, never an error."""

    @cache
    def read(path: str) -> pa.Table | None:
        try:
            return read_outcomes(root / path)
        except ArtifactError as error:
            say(f"warning: {error}")
            return None

    rows = [row for block in plan.blocks() for row in block]
    return [_cell(plan, row, column, read, root, paper) for row in rows for column in plan.columns]


def best(cells: list[Cell]) -> list[bool]:
    """Whether each cell is the highest of its column within its data set, as shown; all of those that tie."""
    highest: dict[tuple[str, str], float] = {}
    for cell in cells:
        if cell.accuracy is not None:
            place = cell.row.dataset, cell.column.attack
            highest[place] = max(cell.accuracy, highest.get(place, 0.0))
    return [cell.accuracy == highest.get((cell.row.dataset, cell.column.attack), -1.0) for cell in cells]


def write_cells(path: Path, cells: list[Cell]) -> None:
    """Write one CSV line a cell, in percent; what is unknown is empty, missing runs are named in the last column."""
    write_text(path, csv_text(CSV_HEAD, [_line(cell) for cell in cells]))


def _line(cell: Cell) -> list[str]:
    low, high = cell.interval or (None, None)
    return [
        cell.row.dataset,
        cell.row.label,
        cell.column.label,
        *map(_percent, (cell.accuracy, cell.sd)),
        str(len(cell.fractions)),
        str(cell.images or ""),
        *map(_percent, (low, high)),
        "" if cell.paper is None else str(cell.paper),
        _percent(cell.difference),
        "; ".join(gap.run for gap in cell.gaps),
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _cell(plan: Plan, row: Row, column: Column, read: Reader, root: Path, paper: dict[Key, Published]) -> Cell:
    fractions: list[float] = []
    images: list[int] = []
    gaps: list[Gap] = []
    for run in row.runs:
        found = _robust(run, column, read, root)
        if isinstance(found, Gap):
            gaps.append(found)
        else:
            fractions.append(float(found.mean()))
            images.append(len(found))
    published = answer(paper, plan, row, column)
    value = None if published is None else published.paper
    return Cell(row, column, tuple(fractions), min(images, default=0), tuple(gaps), value)


def _robust(run: Run, column: Column, read: Reader, root: Path) -> np.ndarray | Gap:
    """The verdicts (n,) bool of one run under one attack, or why there are none."""
    outcome = run.outcomes.get(column.attack)
    if outcome is None:
        return Gap(run.name, f"is not attacked by '{column.attack}' in this experiment")
    if not (root / outcome.path).is_file():
        return Gap(run.name, f"no file {outcome.path}")
    table = read(outcome.path)
    if table is None:
        return Gap(run.name, f"{outcome.path} is damaged")
    columns = {name: table.column(name).to_numpy() for name in ("attack", "index", "robust", "label")}
    chosen = columns["attack"] == outcome.attack
    robust, index = columns["robust"][chosen], columns["index"][chosen]
    if not len(robust):
        return Gap(run.name, f"{outcome.path} holds no attack '{outcome.attack}'")
    if robust.dtype != bool or len(np.unique(index)) != len(index):
        return Gap(run.name, f"{outcome.path} has an image without a verdict or one with two ('{outcome.attack}')")
    predicted = table.column("clean_prediction").to_numpy()[chosen]
    if column.attack == CLEAN and not np.array_equal(robust, predicted == columns["label"][chosen]):
        return Gap(run.name, f"{outcome.path} contradicts itself: clean verdicts differ from clean predictions")
    return robust
