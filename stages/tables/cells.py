"""Cells of a table: accuracies over runs, their spread, and what is missing.

A cell is the mean over its seeds' runs. Its interval is Wilson's (1927) at 95 % for the n test images: of the count k
for one seed; for several, which all share the same images, of the mean count rounded to a whole image. It speaks of
the draw of the test images, the standard deviation (ddof 1) of the seed.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from statistics import fmean, stdev

import pyarrow as pa
from scipy.stats import binomtest

from stages.core.config.table_plan import Column, Plan, Row
from stages.core.errors import ArtifactError
from stages.core.files import write_text
from stages.core.job.progress import log_line
from stages.core.outcomes import read_outcomes
from stages.tables.answers import answer
from stages.tables.listing import csv_text
from stages.tables.paper import Key, Published
from stages.tables.verdicts import MissingRun, Reader, Verdicts, read_verdicts

CSV_HEAD = (
    "dataset",
    "row",
    "column",
    "accuracy",
    "sd",
    "seeds",
    "n",
    "clean_on_same",
    "wilson_low",
    "wilson_high",
    "paper",
    "difference",
    "missing",
)


@dataclass(frozen=True)
class Cell:
    """One row under one attack; fractions in [0, 1] by seed, everything else in percent.

    verdicts: of the seeds that are there. clean_on_same: where the table's clean figure rests on more images, the
    clean accuracy on the images of this one.
    """

    row: Row
    column: Column
    fractions: tuple[float, ...]
    images: int
    gaps: tuple[MissingRun, ...] = ()
    paper: Decimal | None = None
    verdicts: tuple[Verdicts, ...] = ()
    clean_on_same: float | None = None

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
            log_line(f"warning: {error}")
            return None

    rows = [row for block in plan.blocks() for row in block]
    scored = ([_cell(plan, row, column, read, root, paper) for column in plan.columns] for row in rows)
    return [cell for cells in scored for cell in _with_clean_on_same(cells)]


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
        *map(_percent, (cell.clean_on_same, low, high)),
        "" if cell.paper is None else str(cell.paper),
        _percent(cell.difference),
        "; ".join(gap.run for gap in cell.gaps),
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _cell(plan: Plan, row: Row, column: Column, read: Reader, root: Path, paper: dict[Key, Published]) -> Cell:
    found = [read_verdicts(run, column, read, root) for run in row.runs]
    verdicts = tuple(one for one in found if isinstance(one, Verdicts))
    published = answer(paper, plan, row, column)
    return Cell(
        row,
        column,
        tuple(float(one.robust.mean()) for one in verdicts),
        min((len(one.index) for one in verdicts), default=0),
        tuple(one for one in found if isinstance(one, MissingRun)),
        None if published is None else published.paper,
        verdicts,
    )


def _with_clean_on_same(cells: list[Cell]) -> list[Cell]:
    """One row's cells; those on fewer images than the clean ones get the clean accuracy on their own images."""
    all_images = max((cell.images for cell in cells if cell.column.is_clean), default=0)
    return [
        replace(cell, clean_on_same=100 * fmean(float(one.clean.mean()) for one in cell.verdicts))
        if cell.verdicts and cell.images < all_images
        else cell
        for cell in cells
    ]
