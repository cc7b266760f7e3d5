"""`python -m workflow.publish`: copy what an experiment's tables rest on to results/published/<experiment>/.

Per-example outcomes, histories, manifests, the tables' plans and the tables; no checkpoint and no image. From these
files alone `python -m workflow.published` makes the tables again.
"""

import shutil
from pathlib import Path
from typing import Any

from stages.core.errors import ArtifactError
from stages.core.files import write_json, write_text
from workflow.commands import experiment_of, run
from workflow.plan import make_plan
from workflow.runs import Plan

RESULTS = "results/"
COMPARISONS = "comparisons"
LAYOUT = """`tables/` holds the tables and `comparisons.csv`, every pair of their rows; `plans/` which run stands in
which cell, `attack/` every image's outcome, `train/` the histories, and each folder its manifests (settings, hashes,
versions, seeds, seconds). `make published` makes the tables again from these files alone.
"""
TABLE_ENDINGS = (".csv", ".tex", ".txt", ".png", ".pdf", ".json")


def published_folder(experiment: str) -> Path:
    """Where an experiment's published files lie."""
    return Path("results/published") / experiment


def main(argv: list[str] | None = None) -> None:
    """Copy the files, with every path in the plans and below the folder relative to it."""
    experiment = experiment_of("publish", __doc__ or "", argv)
    plan = make_plan(experiment)
    folder = published_folder(experiment.experiment)
    missing = [path for path in _sources(plan) if not Path(path).is_file()]
    if missing:
        raise ArtifactError(f"{missing[0]}: not made yet ({len(missing)} missing); run snakemake first")
    shutil.rmtree(folder, ignore_errors=True)
    for path in _sources(plan):
        _copy(Path(path), folder / path.removeprefix(RESULTS))
    for name, table in plan.tables.items():
        write_json(folder / "plans" / f"{name}.json", _relative(table))
    tables = Path(RESULTS) / "tables" / experiment.experiment
    for made in sorted(tables.iterdir()):
        if made.name == "assumptions.md" or (made.suffix in TABLE_ENDINGS and made.stem in (*plan.tables, COMPARISONS)):
            _copy(made, folder / "tables" / made.name)
    write_json(folder / "experiment.json", experiment.model_dump(mode="json"))
    text = f"# {experiment.title or experiment.experiment}\n\n{experiment.note}\n\n{LAYOUT}"
    write_text(folder / "README.md", text)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"published: {folder}/, {size / 1e6:.1f} MB")


def _sources(plan: Plan) -> list[str]:
    manifests = [job.path("manifest.json") for jobs in (plan.data, plan.structure, plan.train) for job in jobs.values()]
    manifests += [job.path("pretrain.json") for job in plan.pretrain.values()]
    manifests += [job.path("embed.json") for job in plan.embed.values()]
    manifests += [job.path(name) for job in plan.neighbors.values() for name in ("neighbors.json", "report.json")]
    histories = [job.path("history.parquet") for jobs in (plan.pretrain, plan.train) for job in jobs.values()]
    outcomes = [f"results/attack/{key}{ending}" for key in plan.attack for ending in (".parquet", ".json")]
    return sorted({*manifests, *histories, *outcomes})


def _relative(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _relative(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_relative(item) for item in value]
    return value.removeprefix(RESULTS) if isinstance(value, str) else value


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    run(main)
