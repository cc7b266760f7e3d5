"""What an experiment took: seconds and memory of each stage and run, and accuracy against them."""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.tables.report.chart import Chart, Series
from stages.tables.report.files import Files
from stages.tables.report.grid import Grid, Shown
from stages.tables.report.runs import Trained
from stages.tables.report.told import Report


@dataclass(frozen=True)
class StageCost:
    """The jobs of a stage: how many, of how many it is known, their seconds together and the most memory of one."""

    stage: str
    jobs: int
    known: int
    seconds: float
    memory: float | None
    devices: str


@dataclass(frozen=True)
class RunCost:
    """A run's seeds on average: seconds of training and of all attacks on it, and the most memory of one."""

    run: Trained
    training: float | None
    attacks: float | None
    memory: float | None


def stage_costs(report: Report, files: Files) -> list[StageCost]:
    """A line for each stage, in the order of the pipeline."""
    found = []
    for stage in dict.fromkeys(job.stage for job in report.jobs):
        jobs = [job for job in report.jobs if job.stage == stage]
        manifests = [manifest for job in jobs if (manifest := files.manifest(job.manifest)) is not None]
        peaks = [manifest.peak for manifest in manifests if manifest.peak is not None]
        seconds = sum(files.seconds(job) or 0.0 for job in jobs)
        devices = ", ".join(sorted({manifest.device for manifest in manifests if manifest.device}))
        found.append(StageCost(stage, len(jobs), len(manifests), seconds, max(peaks, default=None), devices))
    return found


def run_costs(report: Report, runs: Sequence[Trained], files: Files) -> list[RunCost]:
    """A line for each run. Of attacks those seeds count of which all jobs are on record."""
    attacks: dict[str, list[float | None]] = {}
    for job in report.jobs:
        if job.stage == "attack":
            attacks.setdefault(job.key.rpartition("/")[0], []).append(files.seconds(job))
    found = []
    for run in runs:
        seconds = [seed.seconds for seed in run.seeds if seed.seconds is not None]
        asked = [attacks.get(f"{run.row.dataset}/{run.name}/seed{seed.seed}", []) for seed in run.seeds]
        attacked = [
            sum(known) for times in asked if times and len(known := [t for t in times if t is not None]) == len(times)
        ]
        peaks = [seed.memory for seed in run.seeds if seed.memory is not None]
        found.append(RunCost(run, _mean(seconds), _mean(attacked), max(peaks, default=None)))
    return found


def accuracy_against_cost(grids: Sequence[Grid], costs: Sequence[RunCost]) -> list[Chart]:
    """A chart for each block of a table of methods: the accuracy under its last attack against seconds of training."""
    seconds = {cost.run.anchor: cost.training for cost in costs if cost.training is not None}
    charts = []
    for grid in grids:
        if grid.plan.layout != "methods" or grid.plan.paper not in (None, 1, 2):
            continue
        for block in grid.blocks:
            rows = [cells for line in block.lines if (cells := [c for c in line.cells if c.run.anchor in seconds])]
            column = _last_attack(rows)
            points = [cell for cells in rows for cell in cells if cell.cell.column.label == column]
            series = [
                Series(cell.cell.row.label, (seconds[cell.run.anchor],), (cell.cell.accuracy,), (), (), color)
                for color, cell in enumerate(points)
                if cell.cell.accuracy is not None
            ]
            if len(series) > 1:
                title = f"{grid.plan.table}, {block.title}"
                charts.append(Chart(title, "seconds of training", f"{column} in %", series, points=True))
    return charts


def _last_attack(rows: list[list[Shown]]) -> str:
    """AA where the table has it, else the attack under which accuracies are lowest."""
    labels = [cell.cell.column.label for cells in rows for cell in cells if not cell.cell.column.is_clean]
    if "AA" in labels:
        return "AA"
    attacked = [
        cell.cell
        for cells in rows
        for cell in cells
        if cell.cell.accuracy is not None and cell.cell.column.label in labels
    ]
    return min(attacked, key=lambda cell: cell.accuracy or 0.0).column.label if attacked else ""


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
