"""The trained runs behind the tables: a method on a data set, its seeds together, with its histories and manifests."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stages.core.config.table_plan import Plan, Row, Run
from stages.core.errors import ArtifactError
from stages.core.job.progress import log_line
from stages.core.parquet import read_table
from stages.tables.report.chart import Chart, Series
from stages.tables.report.files import Files, Link, of_job

APART = ("epoch", "lr", "seconds", "seeds")
PLAIN = {
    "loss": "total loss",
    "objective_loss": "objective's loss",
    "lsp_term": "LSP term",
    "lsp_loss": "LSP loss at the epoch's end",
    "lsp_training_loss": "LSP loss while training",
    "clean_accuracy": "clean accuracy",
    "robust_accuracy": "robust accuracy",
}
Key = tuple[str, str]


@dataclass(frozen=True)
class Seed:
    """One seed of a run: the epoch that was kept, what it cost, and its files."""

    seed: int
    epoch: int | None
    seconds: float | None
    memory: float | None
    links: tuple[Link, ...]
    history: pd.DataFrame | None


@dataclass(frozen=True)
class Trained:
    """A run with all its seeds; anchor: its place on the page; settings: those of its first seed, as text."""

    anchor: str
    dataset: str
    label: str
    name: str
    row: Row
    seeds: tuple[Seed, ...]
    settings: str
    missing: tuple[str, ...]

    def charts(self) -> list[Chart]:
        """Loss terms, the LSP loss and the accuracies over the epochs, means over seeds within one deviation."""
        histories = [seed.history for seed in self.seeds if seed.history is not None]
        if not histories:
            return []
        every = pd.concat(histories)
        columns = [name for name in every.columns if name not in APART and every[name].notna().any()]
        if {"loss", "objective_loss"} <= {*columns} and every["loss"].equals(every["objective_loss"]):
            columns.remove("loss")  # nothing is added to the objective's
        kept = sorted({seed.epoch for seed in self.seeds if seed.epoch})
        marks = [(float(epoch), f"kept: epoch {epoch}") for epoch in kept]
        groups = {
            "loss": [name for name in columns if not name.endswith("_accuracy") and not _is_lsp_loss(name)],
            "LSP loss": [name for name in columns if _is_lsp_loss(name)],
            "accuracy in %": [name for name in columns if name.endswith("_accuracy")],
        }
        grouped = every.groupby("epoch")
        return [
            Chart(f"{self.label}: {axis}", "epoch", axis, list(_series(grouped, names)), marks, whole=True)
            for axis, names in groups.items()
            if names
        ]


def trained(plans: Iterable[Plan], files: Files) -> dict[Key, Trained]:
    """Every run that a plan names, once, by its data set and its folder; a row without a variant gives it its name."""
    rows: dict[Key, tuple[Row, str]] = {}
    for plan in plans:
        for row in plan.rows:
            for run in row.runs[:1]:
                key = (row.dataset, run.name)
                if key not in rows or (rows[key][0].variant and not row.variant):
                    rows[key] = row, _label(row)
    return {key: _trained(f"run-{place}", row, label, files) for place, (key, (row, label)) in enumerate(rows.items())}


def _label(row: Row) -> str:
    """Of a variant, the method too: its row says only what differs."""
    if not row.variant:
        return row.label
    changed = ", ".join(f"{path.rpartition('.')[2]} {value}" for path, value in row.variant.items())
    return f"{row.method.upper()}, {changed}"


def _trained(anchor: str, row: Row, label: str, files: Files) -> Trained:
    seeds = [_seed(row, run, files) for run in row.runs]
    manifests = [found for run in row.runs if (found := _manifest(row, run, files)) is not None]
    settings = json.dumps(manifests[0].get("settings"), indent=1, ensure_ascii=False) if manifests else ""
    missing = tuple(run.name for run, seed in zip(row.runs, seeds, strict=True) if run.history and seed.history is None)
    return Trained(anchor, row.title(), label, row.runs[0].name, row, tuple(seeds), settings, missing)


def _manifest(row: Row, run: Run, files: Files) -> dict[str, Any] | None:
    for stage in ("train", "weights"):
        if job := files.job(stage, f"{row.dataset}/{run.name}/seed{run.seed}"):
            return files.manifest(job.manifest)
    return None


def _seed(row: Row, run: Run, files: Files) -> Seed:
    key = f"{row.dataset}/{run.name}/seed{run.seed}"
    job = files.job("train", key) or files.job("weights", key)
    manifest = _manifest(row, run, files) or {}
    history = (files.link("history", run.history),) if run.history else ()
    epoch = manifest.get("facts", {}).get("selected_epoch")
    return Seed(
        run.seed,
        epoch if isinstance(epoch, int) else None,
        manifest.get("seconds"),
        peak(manifest),
        (*of_job(files, job), *history),
        _history(run, files),
    )


def peak(manifest: dict[str, Any]) -> float | None:
    """The most memory that a job took, in bytes: on its host, or on its GPU where that was more."""
    found = manifest.get("peak_memory_bytes")
    return max(found.values(), default=None) if isinstance(found, dict) else None


def _history(run: Run, files: Files) -> pd.DataFrame | None:
    """The epochs of a run, accuracies in percent; None where there is no history, or none that can be read."""
    if run.history is None:
        return None
    try:
        table = read_table(files.root / run.history).to_pandas()
    except ArtifactError as error:
        log_line(f"warning: {error}")
        return None
    if "epoch" not in table:
        log_line(f"warning: {run.history} has no column epoch")
        return None
    numbers = table.select_dtypes("number").astype("float64")
    shares = [name for name in numbers if name.endswith("_accuracy")]
    numbers[shares] *= 100
    return numbers


def _is_lsp_loss(name: str) -> bool:
    return name.startswith("lsp_") and name.endswith("loss")


def _series(grouped: Any, names: list[str]) -> Iterator[Series]:
    for color, name in enumerate(names):
        mean, sd = grouped[name].mean(), grouped[name].std(ddof=1)
        low, high = ((mean - sd).tolist(), (mean + sd).tolist()) if sd.notna().any() else ((), ())
        yield Series(PLAIN.get(name, name.replace("_", " ")), mean.index.tolist(), mean.tolist(), low, high, color)
