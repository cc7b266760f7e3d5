"""Our side of a comparison: what each run of a row says under a column, by seed and test image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.core.config.table_plan import Plan, Row
from stages.tables.cells import Cell, score
from stages.tables.claims.asked import ALL, FIRST, LAST, Comparison
from stages.tables.claims.blocks import Block
from stages.tables.curves import TRAINING_LOSS, read_history
from stages.tables.verdicts import MissingRun

FIFTH = 5


@dataclass(frozen=True, eq=False)
class Measured:
    """by_seed: seed -> where n test images stand in the test set, (n,), ascending, and a value of each, (n,).

    A loss is one value at place 0. missing: runs that are not there, and why.
    """

    by_seed: Mapping[int, tuple[NDArray[np.int64], NDArray[Any]]]
    missing: tuple[str, ...]


def measured_blocks(plans: Sequence[Plan], root: Path) -> list[Block[Measured]]:
    """Every plan's tables and figures, a block a data set; a missing or damaged file leaves its seed out."""
    return [block for plan in plans for block in (_accuracies if plan.kind == "table" else _losses)(plan, root)]


def differences(one: Comparison[Measured]) -> NDArray[np.float64]:
    """(S, n): what is above less what is below, of the seeds and images that all of it has; (0, 0) where none is."""
    parts = [*one.above, *one.below]
    seeds = sorted(set.intersection(*(set(part.by_seed) for part in parts)))
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
    return Measured(by_seed, tuple(f"{gap.run}: {gap.reason}" for gap in cell.gaps))


def _losses(plan: Plan, root: Path) -> list[Block[Measured]]:
    return [
        _block(plan, rows, {(row.label, name): cell for row in rows for name, cell in _parts(row, root).items()})
        for rows in plan.blocks()
    ]


def _parts(row: Row, root: Path) -> dict[str, Measured]:
    """'lsp, first fifth' and the like -> the mean loss over these epochs, of each run that has two epochs or more."""
    found: dict[str, dict[int, Any]] = {f"{loss}, {part}": {} for loss in LOSSES for part in (FIRST, LAST, ALL)}
    missing: list[str] = []
    for run in row.runs:
        history = read_history(run, root)
        if isinstance(history, MissingRun):
            missing.append(f"{history.run}: {history.reason}")
            continue
        for loss, names in LOSSES.items():
            values = history[next(name for name in names if name in history)].dropna().sort_index()
            for part, mean in _means(values).items():
                found[f"{loss}, {part}"][run.seed] = np.zeros(1, np.int64), np.array([mean])
    return {name: Measured(by_seed, tuple(missing)) for name, by_seed in found.items()}


# The LSP loss as it was while training where the run measured it so, as the paper's curve is.
LOSSES = {"lsp": (TRAINING_LOSS, "lsp_loss"), "objective": ("objective_loss",)}


def _means(values: "pd.Series[float]") -> dict[str, float]:
    if len(values) < 2:
        return {}
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
