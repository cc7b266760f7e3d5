"""Our side of a comparison: what each run of a row says under a column, by seed and test image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.core.config.table_plan import Plan, Row, Run
from stages.tables.cells import Cell, score
from stages.tables.claims.asked import ALL, FIRST, LAST, Comparison
from stages.tables.claims.blocks import Block
from stages.tables.curves import TRAINING_LOSS, read_history
from stages.tables.verdicts import MissingRun

FIFTH = 5


@dataclass(frozen=True, eq=False)
class Measured:
    """by_seed: seed -> where n test images stand in the test set, (n,), ascending, and a value of each, (n,).

    A loss is one value at place 0. missing: runs that are not there, and why. read: what each of its runs is read from;
    alike for a cell that stands in two tables.
    """

    by_seed: Mapping[int, tuple[NDArray[np.int64], NDArray[Any]]]
    missing: tuple[str, ...]
    read: tuple[tuple[str, ...], ...]


Key = tuple[str, tuple[tuple[tuple[str, ...], ...], ...], tuple[tuple[tuple[str, ...], ...], ...]]


def key(one: Comparison[Measured]) -> Key:
    """Equal for comparisons of the same runs under the same attacks, whatever tables they stand in."""
    return one.role, tuple(cell.read for cell in one.above), tuple(cell.read for cell in one.below)


def measured_blocks(plans: Sequence[Plan], root: Path) -> list[Block[Measured]]:
    """Every plan's tables and figures, a block a data set; a missing or damaged file leaves its seed out."""
    return [block for plan in plans for block in (_accuracies if plan.kind == "table" else _losses)(plan, root)]


def differences(one: Comparison[Measured]) -> NDArray[np.float64]:
    """(S, n): what is above less what is below, of the seeds and images that all of it has; (0, 0) where none is."""
    parts, seeds = [*one.above, *one.below], _seeds(one)
    places = [part.by_seed[seed][0] for part in parts for seed in seeds]
    if not places:
        return np.zeros((0, 0))
    shared = places[0]
    for place in places[1:]:
        if not np.array_equal(shared, place):
            shared = np.intersect1d(shared, place, assume_unique=True)
    if not len(shared):
        return np.zeros((0, 0))
    signs = [1] * len(one.above) + [-1] * len(one.below)
    found = np.zeros((len(seeds), len(shared)))
    for sign, part in zip(signs, parts, strict=True):
        for line, seed in zip(found, seeds, strict=True):
            index, values = part.by_seed[seed]
            line += sign * values[np.searchsorted(index, shared)]
    return found


def apart(one: Comparison[Measured]) -> str:
    """Why a comparison of runs that are there has no difference."""
    if _seeds(one):
        return "its runs share no image"
    sets = dict.fromkeys(", ".join(map(str, sorted(part.by_seed))) for part in (*one.above, *one.below))
    return f"its runs share no seed ({' against '.join(sets)})"


def _seeds(one: Comparison[Measured]) -> list[int]:
    """Those that all of it has."""
    return sorted(set.intersection(*(set(part.by_seed) for part in (*one.above, *one.below))))


def _accuracies(plan: Plan, root: Path) -> list[Block[Measured]]:
    cells = score(plan, root, {})
    return [
        _block(
            plan, rows, {(c.row.label, c.column.label): _verdicts(c) for c in cells if c.row.dataset == rows[0].dataset}
        )
        for rows in plan.blocks()
    ]


def _verdicts(cell: Cell) -> Measured:
    by_seed = {one.seed: (one.index, one.robust) for one in cell.verdicts}
    read = tuple(
        (outcome.path, outcome.attack) if (outcome := run.outcomes.get(cell.column.attack)) else (run.name,)
        for run in cell.row.runs
    )
    return Measured(by_seed, tuple(f"{gap.run}: {gap.reason}" for gap in cell.gaps), read)


def _losses(plan: Plan, root: Path) -> list[Block[Measured]]:
    return [
        _block(plan, rows, {(row.label, name): cell for row in rows for name, cell in _parts(row, root).items()})
        for rows in plan.blocks()
    ]


def _parts(row: Row, root: Path) -> dict[str, Measured]:
    """'lsp, first fifth' and the like -> the mean loss over these epochs, of each run that is finite all along."""
    histories = [(run, read_history(run, root)) for run in row.runs]
    return {
        f"{loss}, {part}": cell
        for loss, names in LOSSES.items()
        for part, cell in _parts_of(histories, loss, names).items()
    }


def _parts_of(
    histories: Sequence[tuple[Run, pd.DataFrame | MissingRun]], loss: str, names: Sequence[str]
) -> dict[str, Measured]:
    """One loss of one row. A run that diverged is left out whole: its finite epochs alone would speak for it."""
    found: dict[str, dict[int, Any]] = {part: {} for part in (FIRST, LAST, ALL)}
    missing: list[str] = []
    for run, history in histories:
        if isinstance(history, MissingRun):
            missing.append(f"{history.run}: {history.reason}")
            continue
        values = history[next(name for name in names if name in history)].sort_index()
        if not (finite := np.isfinite(values)).all():
            missing.append(f"{run.name}: {values.name} is not finite in epoch {finite.idxmin()}")
        elif len(values) < 2:
            missing.append(f"{run.name}: {run.history} has fewer than two epochs")
        else:
            for part, mean in _means(values).items():
                found[part][run.seed] = np.zeros(1, np.int64), np.array([mean])
    read = [(run.history or run.name, loss) for run, _ in histories]
    return {
        part: Measured(by_seed, tuple(missing), tuple((*one, part) for one in read)) for part, by_seed in found.items()
    }


# The LSP loss as it was while training where the run measured it so, as the paper's curve is.
LOSSES = {"lsp": (TRAINING_LOSS, "lsp_loss"), "objective": ("objective_loss",)}


def _means(values: "pd.Series[float]") -> dict[str, float]:
    part = ceil(len(values) / FIFTH)
    return {FIRST: float(values[:part].mean()), LAST: float(values[-part:].mean()), ALL: float(values.mean())}


def _block(plan: Plan, rows: Sequence[Row], cells: Mapping[tuple[str, str], Measured]) -> Block[Measured]:
    settings = {column.label: column.settings for column in plan.columns if column.settings is not None}
    return Block(
        table=plan.table,
        number=plan.paper,
        losses=plan.kind == "losses",
        title=rows[0].title(),
        datasets=(rows[0].paper_dataset or "", rows[0].dataset),
        rows={row.label: row.names for row in rows},
        columns={column.label: column.names for column in plan.columns},
        cells=cells,
        attacks={label: attack.model_copy(update={"label": ""}) for label, attack in settings.items()},
    )
