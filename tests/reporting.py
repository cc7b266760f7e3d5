"""Reports of experiments that were never run: what a real plan tells the report, and every file behind it made up.

report = planned(tmp_path, EVERYTHING)          # or any experiment's files, with overrides
make_up(report, tmp_path, images=500)
html = document(report, tmp_path)
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from stages.core.config.table_plan import Column, Plan, Row
from stages.core.files import write_text
from stages.tables.paper import key, read_paper
from stages.tables.report.told import Report
from tests import made_up
from tests.conftest import ROOT
from workflow.planning.load import load_experiment
from workflow.planning.report import reported
from workflow.planning.tables import make_plan

EVERYTHING = ROOT / "tests/everything.yaml"
HOSTILE = (
    "<script>alert(1)</script>",
    "]]>",
    r"\input{x}",
    '"onmouseover=alert(2) x="',
    "{{ 7*7 }}",
    "</title></style></script><img src=x onerror=alert(3)>",
    "W" * 200,
    "שלום \u202eעולם",
)
SIDES = {"digits": 8, "stl10": 96, "tiny-imagenet": 64}  # in pixels; others have 32
VERDICTS = ("pass", "warn", "fail", None)
PAPER = read_paper()
Accuracy = Callable[[Plan, Row, Column, int], float]


def planned(root: Path, *files: Path, **overrides: Any) -> Report:
    """What the report of an experiment is told; root: where results/ lies. overrides: as by --config."""
    experiment = load_experiment(files, ROOT / "config.yaml", overrides)
    report = Report.model_validate(reported(make_plan(experiment, root)))
    return report.model_copy(update={"claims": report.claims or f"{report.place}/claims.json"})


def make_up(
    report: Report,
    root: Path,
    *,
    images: int = 500,
    epochs: int = 12,
    anchors: int = 1,
    without: Iterable[str] = (),
    accuracy: Accuracy | None = None,
    names: Sequence[str] = HOSTILE,
) -> None:
    """Write every file that the report reads or links, below a root, but those whose path holds a word of `without`.

    images: of each cell at most. anchors: of each kind in the pictures.
    accuracy: of a cell's seed, a fraction; by default the paper's number and some noise.
    names: what claims and classes are called.
    """
    absent = tuple(without)

    def wanted(path: str) -> bool:
        return not any(word in path for word in absent)

    for path, cells in _outcomes(report.plans, accuracy or near_the_paper).items():
        if wanted(path):
            sizes = {attack: min(images, size or images) for attack, (_, size) in cells.items()}
            made_up.outcomes(root, path, {attack: share for attack, (share, _) in cells.items()}, sizes)
    for path, method in {
        run.history: row.method for plan in report.plans for row in plan.rows for run in row.runs if run.history
    }.items():
        if wanted(path):
            made_up.history(root, path, epochs, lsp=method.startswith("lsp"))
    for job in report.jobs:
        if wanted(job.manifest):
            seed = int(job.key.rpartition("seed")[2].partition("/")[0]) if "/seed" in job.key else 0
            made_up.manifest(root, job.manifest, job.stage, seed, epochs, {"seed": seed, "names": list(names)})
            write_text(root / job.log, f"{job.stage} {job.key}: made up\n")
    for place, listed in enumerate(report.certificates):
        verdict = VERDICTS[place % len(VERDICTS)]
        if verdict and wanted(listed.path):
            made_up.certificate(root, listed.path, verdict)
    if report.lipschitz and wanted(report.lipschitz):
        shown = {(row.title(), row.label, run.seed): None for row in _rows(report) for run in row.runs}
        made_up.lipschitz(root, report.lipschitz, list(shown))
    for path in filter(wanted, report.pictures):
        dataset = Path(path).parent.name.rpartition("-")[0]
        methods = sorted({row.method for row in _rows(report) if row.dataset == dataset and not row.variant})
        classes = tuple(f"{names[place % len(names)] if names else 'class'} {place}" for place in range(10))
        made_up.pictures(root, path, SIDES.get(dataset, 32), tuple(methods), classes, anchors)
    if report.claims and wanted(report.claims):
        texts = (*names, *(f"Claim number {place} of those that are made up" for place in range(len(names), 20)))
        made_up.claims(root, report.claims, texts)
    if report.assumptions and wanted(report.assumptions):
        parts = [f"## {name}\n\n- {name}\n" for name in names]
        write_text(
            root / report.assumptions, "\n".join(["# Assumptions\n", *parts, "## Numbers\n\n- They are drawn.\n"])
        )


def near_the_paper(plan: Plan, row: Row, column: Column, seed: int) -> float:
    """The paper's number where there is one, else what falls from column to column; seeds differ by a point or so."""
    published = PAPER.get(key(plan.paper or 1, row.paper_dataset or "", row.paper_row, column.label))
    place = [one.attack for one in plan.columns].index(column.attack)
    center = float(published.paper) / 100 if published else 0.9 * 0.75**place
    noise = made_up.generator(f"{row.dataset} {row.label} {column.attack} {seed}").normal(0, 0.012)
    return min(max(center + noise, 0.0), 1.0)


def _rows(report: Report) -> list[Row]:
    return [row for plan in report.plans for row in plan.rows]


def _outcomes(plans: Sequence[Plan], accuracy: Accuracy) -> dict[str, dict[str, tuple[float, int | None]]]:
    """By file and attack id: the accuracy, and of how many images where the attack says so."""
    found: dict[str, dict[str, tuple[float, int | None]]] = {}
    for plan in plans:
        for row in plan.rows if plan.kind == "table" else ():
            for run in row.runs:
                for column in plan.columns:
                    at = run.outcomes[column.attack]
                    size = column.settings.images if column.settings else None
                    found.setdefault(at.path, {}).setdefault(at.attack, (accuracy(plan, row, column, run.seed), size))
    return found
