"""The two losses of each method over the epochs, averaged over seeds (the numbers of Figure 3)."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.core.artifacts import read_table
from stages.core.errors import ArtifactError
from stages.core.files import write_text
from stages.core.progress import say
from stages.tables.listing import csv_text
from stages.tables.plan import Plan, Row, Run
from stages.tables.verdicts import Gap

LOSSES = ("objective_loss", "lsp_loss")
COLUMNS = tuple(f"{loss}{part}" for loss in LOSSES for part in ("", "_sd"))
CSV_HEAD = ("dataset", "row", "epoch", "seeds", *COLUMNS, "missing")


@dataclass(frozen=True)
class Curves:
    """One method's losses: epochs as index, columns <loss> and <loss>_sd (ddof 1; NaN for one seed) and seeds."""

    row: Row
    table: pd.DataFrame
    gaps: tuple[Gap, ...]


def read_curves(plan: Plan, root: Path) -> list[Curves]:
    """The curves of every row; a missing or damaged history becomes a gap, never an error."""
    return [_curves(row, root) for block in plan.blocks() for row in block]


def write_curves(path: Path, curves: list[Curves]) -> None:
    """Write what is plotted, one CSV line a row and epoch, to six digits; a row without history has one line."""
    lines: list[list[str]] = []
    for curve in curves:
        start = [curve.row.dataset, curve.row.label]
        missing = "; ".join(gap.run for gap in curve.gaps)
        for record in curve.table.reset_index().itertuples(index=False):
            lines.append([*start, *map(_number, record), missing])
        if curve.table.empty:
            lines.append([*start, *[""] * (len(CSV_HEAD) - 3), missing])
    write_text(path, csv_text(CSV_HEAD, lines))


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.6g}"


def _curves(row: Row, root: Path) -> Curves:
    histories: list[pd.DataFrame] = []
    gaps: list[Gap] = []
    for run in row.runs:
        found = _history(run, root)
        if isinstance(found, Gap):
            gaps.append(found)
        else:
            histories.append(found)
    if not histories:
        return Curves(row, pd.DataFrame(index=pd.Index([], name="epoch")), tuple(gaps))
    grouped = pd.concat(histories).groupby(level="epoch")
    columns = {"seeds": grouped.size().astype("float64")}
    for loss in LOSSES:
        columns |= {loss: grouped[loss].mean(), f"{loss}_sd": grouped[loss].std(ddof=1)}
    return Curves(row, pd.DataFrame(columns).sort_index(), tuple(gaps))


def _history(run: Run, root: Path) -> pd.DataFrame | Gap:
    """Both losses by epoch, or why there are none."""
    if run.history is None:
        return Gap(run.name, "keeps no history")
    if not (root / run.history).is_file():
        return Gap(run.name, f"no file {run.history}")
    try:
        table = read_table(root / run.history)
    except ArtifactError as error:
        say(f"warning: {error}")
        return Gap(run.name, f"{run.history} is damaged")
    if lacking := [name for name in ("epoch", *LOSSES) if name not in table.column_names]:
        return Gap(run.name, f"{run.history} has no column {', '.join(lacking)}")
    return table.select(["epoch", *LOSSES]).to_pandas().set_index("epoch").astype("float64")
