"""The verdicts of one run under one attack, image by image, or why there are none."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stages.core.config.table_plan import Column, Run

Reader = Callable[[str], pa.Table | None]


@dataclass(frozen=True)
class MissingRun:
    """A run that a cell lacks, and why."""

    run: str
    reason: str


@dataclass(frozen=True, eq=False)
class Verdicts:
    """One seed's verdicts on n test images.

    index (n,) int64, ascending: where each stands in the test set; robust (n,) bool: right before the attack and
    after; clean (n,) bool: right before it.
    """

    seed: int
    index: NDArray[np.int64]
    robust: NDArray[np.bool_]
    clean: NDArray[np.bool_]


def read_verdicts(run: Run, column: Column, read: Reader, root: Path) -> Verdicts | MissingRun:
    """The verdicts of a run under a column's attack. read: gives a file's outcomes, None where it is damaged."""
    outcome = run.outcomes.get(column.attack)
    if outcome is None:
        return MissingRun(run.name, f"is not attacked by '{column.attack}' in this experiment")
    if not (root / outcome.path).is_file():
        return MissingRun(run.name, f"no file {outcome.path}")
    table = read(outcome.path)
    if table is None:
        return MissingRun(run.name, f"{outcome.path} is damaged")
    chosen = table.column("attack").to_numpy() == outcome.attack
    names = ("index", "robust", "label", "clean_prediction")
    index, robust, label, predicted = (table.column(name).to_numpy()[chosen] for name in names)
    if not len(robust):
        return MissingRun(run.name, f"{outcome.path} holds no attack '{outcome.attack}'")
    if robust.dtype != bool or len(np.unique(index)) != len(index):
        return MissingRun(
            run.name, f"{outcome.path} has an image without a verdict or one with two ('{outcome.attack}')"
        )
    clean = predicted == label
    if column.is_clean and not np.array_equal(robust, clean):
        return MissingRun(run.name, f"{outcome.path} contradicts itself: clean verdicts differ from clean predictions")
    order = np.argsort(index)
    return Verdicts(run.seed, index[order], robust[order], clean[order])
