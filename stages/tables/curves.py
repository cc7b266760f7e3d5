"""The losses of each method over the epochs, averaged over seeds (the numbers of Figure 3).

The objective's loss is a mean over the epoch's batches. The LSP loss is measured at each epoch's end, in eval mode, and
where the experiment asks for it (`monitor.training_batches`) also while training, as the paper's curve is.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.core.config.table_plan import Plan, Row, Run
from stages.core.errors import ArtifactError
from stages.core.files import write_text
from stages.core.job.progress import log_line
from stages.core.parquet import read_table
from stages.tables.listing import csv_text
from stages.tables.verdicts import MissingRun

LOSSES = ("objective_loss", "lsp_loss")
TRAINING_LOSS = "lsp_training_loss"


@dataclass(frozen=True)
class Curves:
    """One method's losses: epochs as index, columns seeds, and <loss> and <loss>_sd (ddof 1; NaN for one seed) of each.

    The loss while training is there if any of its runs measured it.
    """

    row: Row
    table: pd.DataFrame
    gaps: tuple[MissingRun, ...]


def read_curves(plan: Plan, root: Path) -> list[Curves]:
    """The curves of every row; a missing or damaged history becomes a gap, never an error."""
    return [_curves(row, root) for block in plan.blocks() for row in block]


def write_curves(path: Path, curves: list[Curves]) -> None:
    """Write what is plotted, one CSV line a row and epoch, to six digits; a row without history has one line.

    The loss while training has columns if any row has it.
    """
    losses = [*LOSSES, *([TRAINING_LOSS] if any(TRAINING_LOSS in curve.table for curve in curves) else [])]
    columns = ["seeds", *(f"{loss}{part}" for loss in losses for part in ("", "_sd"))]
    lines: list[list[str]] = []
    for curve in curves:
        start = [curve.row.dataset, curve.row.label]
        missing = "; ".join(gap.run for gap in curve.gaps)
        for record in curve.table.reindex(columns=columns).reset_index().itertuples(index=False):
            lines.append([*start, *map(_number, record), missing])
        if curve.table.empty:
            lines.append([*start, *[""] * (1 + len(columns)), missing])
    write_text(path, csv_text(("dataset", "row", "epoch", *columns, "missing"), lines))


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.6g}"


def _curves(row: Row, root: Path) -> Curves:
    histories: list[pd.DataFrame] = []
    gaps: list[MissingRun] = []
    for run in row.runs:
        found = read_history(run, root)
        if isinstance(found, MissingRun):
            gaps.append(found)
        else:
            histories.append(found)
    if not histories:
        return Curves(row, pd.DataFrame(index=pd.Index([], name="epoch")), tuple(gaps))
    grouped = pd.concat(histories).groupby(level="epoch")
    columns = {"seeds": grouped.size().astype("float64")}
    for loss in [name for name in (*LOSSES, TRAINING_LOSS) if any(name in history for history in histories)]:
        columns |= {loss: grouped[loss].mean(), f"{loss}_sd": grouped[loss].std(ddof=1)}
    return Curves(row, pd.DataFrame(columns).sort_index(), tuple(gaps))


def read_history(run: Run, root: Path) -> pd.DataFrame | MissingRun:
    """A run's losses by epoch, or why there are none."""
    if run.history is None:
        return MissingRun(run.name, "keeps no history")
    if not (root / run.history).is_file():
        return MissingRun(run.name, f"no file {run.history}")
    try:
        table = read_table(root / run.history)
    except ArtifactError as error:
        log_line(f"warning: {error}")
        return MissingRun(run.name, f"{run.history} is damaged")
    if lacking := [name for name in ("epoch", *LOSSES) if name not in table.column_names]:
        return MissingRun(run.name, f"{run.history} has no column {', '.join(lacking)}")
    losses = [name for name in (*LOSSES, TRAINING_LOSS) if name in table.column_names]
    frame = table.select(["epoch", *losses]).to_pandas()
    if frame.select_dtypes("number").shape != frame.shape:
        log_line(f"warning: {root / run.history}: a column holds no numbers")
        return MissingRun(run.name, f"{run.history} is damaged")
    return frame.set_index("epoch").astype("float64")
