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
from stages.tables.report.told import Made

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
    """Every run that a plan names, once, by its data set and its folder, with the seeds of all plans.

    A row without a variant gives it its name.
    """
    rows: dict[Key, Row] = {}
    seeds: dict[Key, dict[int, Run]] = {}
    for plan in plans:
        for row in plan.rows:
            for run in row.runs:
                key = (row.dataset, run.name)
                seeds.setdefault(key, {}).setdefault(run.seed, run)
                if key not in rows or (rows[key].variant and not row.variant):
                    rows[key] = row
    runs = {key: [by_seed[seed] for seed in sorted(by_seed)] for key, by_seed in seeds.items()}
    return {key: _trained(f"run-{place}", row, runs[key], files) for place, (key, row) in enumerate(rows.items())}


def _label(row: Row) -> str:
    """Of a variant, the method too: its row says only what differs."""
    if not row.variant:
        return row.own_name
    changed = ", ".join(f"{path.rpartition('.')[2]} {value}" for path, value in row.variant.items())
    return f"{row.method.upper()}, {changed}"


def _trained(anchor: str, row: Row, runs: list[Run], files: Files) -> Trained:
    seeds = [_seed(row, run, files) for run in runs]
    jobs = [job for run in runs if (job := _maker(row, run, files)) is not None]
    manifests = [found for job in jobs if (found := files.manifest(job.manifest)) is not None]
    settings = json.dumps(manifests[0].settings, indent=1, ensure_ascii=False) if manifests else ""
    missing = tuple(run.name for run, seed in zip(runs, seeds, strict=True) if run.history and seed.history is None)
    return Trained(anchor, row.title(), _label(row), runs[0].name, row, tuple(seeds), settings, missing)


def _maker(row: Row, run: Run, files: Files) -> Made | None:
    """The job that trained a run, or read it from elsewhere."""
    key = f"{row.dataset}/{run.name}/seed{run.seed}"
    return files.job("train", key) or files.job("weights", key)


def _seed(row: Row, run: Run, files: Files) -> Seed:
    """What reading outside weights took is no cost of training."""
    job = _maker(row, run, files)
    manifest = files.manifest(job.manifest) if job else None
    trained_here = job is not None and job.stage == "train"
    history = (files.link("history", run.history),) if run.history else ()
    return Seed(
        run.seed,
        manifest.facts.selected_epoch if manifest else None,
        files.seconds(job) if job and trained_here else None,
        manifest.peak if manifest and trained_here else None,
        (*of_job(files, job), *history),
        _history(run, files),
    )


def _history(run: Run, files: Files) -> pd.DataFrame | None:
    """The epochs of a run, accuracies in percent; None where there is no history, or none that can be read."""
    if run.history is None:
        return None
    try:
        table = read_table(files.root / run.history).to_pandas()
    except ArtifactError as error:
        log_line(f"warning: {error}")
        return None
    numbers = table.select_dtypes("number").astype("float64")
    if "epoch" not in numbers:
        log_line(f"warning: {run.history} has no column epoch of numbers")
        return None
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
