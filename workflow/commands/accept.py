"""`python -m workflow.commands.accept`: take finished runs as valid under code that changes no number.

A run is accepted if its outputs are there and its manifest says that they were made from what the accepted runs
before it have written. The manifest then lists the present code digest after the older ones, and `snakemake --touch`
records the present params. What is missing, or was made from other files or another plan, is left and named.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.code import code_digest
from stages.core.errors import StageError
from stages.core.files import write_json
from workflow.commands.cli import ROOT, configfiles, run
from workflow.planning.load import load_experiment
from workflow.planning.runs import Plan
from workflow.planning.tables import COMPARISON_MODULES, comparisons, make_plan

TABLE_MODULES = ("stages.tables.__main__",)


@dataclass(frozen=True, eq=False)
class PlannedJob:
    """A planned job: its name, its manifest, a file that Snakemake knows it by, its code and, for a table, its plan."""

    name: str
    manifest: str
    target: str
    modules: tuple[str, ...]
    plan: dict[str, Any] | None = None


def steps(plan: Plan) -> Iterator[PlannedJob]:
    """Every planned job, none before one that it reads from."""
    for stage, jobs, manifests in (
        ("data", plan.data, ("manifest.json",)),
        ("pretrain", plan.pretrain, ("pretrain.json",)),
        ("embed", plan.embed, ("embed.json",)),
        ("neighbors", plan.neighbors, ("index.json", "neighbors.json")),
        ("structure", plan.structure, ("manifest.json",)),
        ("train", plan.train, ("manifest.json",)),
    ):
        for key, job in jobs.items():
            for path in map(job.path, manifests):
                yield PlannedJob(f"{stage} {key}", path, path, job.modules)
    for key, job in plan.attack.items():
        yield PlannedJob(f"attack {key}", f"results/attack/{key}.json", f"results/attack/{key}.parquet", job.modules)
    for name, table in plan.tables.items():
        path = f"results/tables/{plan.experiment.place}/{name}.json"
        yield PlannedJob(f"table {name}", path, path, TABLE_MODULES, table)
    if compared := comparisons(plan)[0]:
        path = f"results/tables/{plan.experiment.place}/comparisons.json"
        yield PlannedJob("comparisons", path, path, COMPARISON_MODULES, compared)


def classify(plan: Plan, root: Path = Path()) -> tuple[dict[PlannedJob, dict[str, Any]], dict[PlannedJob, str]]:
    """({accepted step: its manifest}, {step left: why}); reads manifests alone."""
    accepted: dict[PlannedJob, dict[str, Any]] = {}
    left: dict[PlannedJob, str] = {}
    written: dict[str, str | None] = {}
    for step in steps(plan):
        try:
            record = json.loads((root / step.manifest).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            left[step] = "not finished"
            continue
        if fault := _fault(step, record, written, root):
            left[step] = fault
            continue
        accepted[step] = record
        written |= {entry["path"]: entry["sha256"] for entry in record["outputs"].values()}
        written[step.manifest] = None  # a manifest's own hash changes when it is accepted
    return accepted, left


def _fault(step: PlannedJob, record: dict[str, Any], written: dict[str, str | None], root: Path) -> str:
    for entry in record["outputs"].values():
        if not (root / entry["path"]).is_file():
            return f"{entry['path']} is missing"
    for entry in record["inputs"].values():
        path = entry["path"]
        if not path.startswith("results/"):
            continue
        if path not in written:
            return f"{path}, which it reads, is not accepted"
        if written[path] not in (None, entry["sha256"]):
            return f"made from another {path}"
    return "" if _holds(record["settings"], step.plan or {}) else "its plan has changed"


def _holds(recorded: Any, planned: Any) -> bool:
    """Whether a recorded value, in which defaults are filled in, says all that the planned one says."""
    if isinstance(planned, dict) and isinstance(recorded, dict):
        return all(key in recorded and _holds(recorded[key], value) for key, value in planned.items())
    if isinstance(planned, list) and isinstance(recorded, list):
        return len(planned) == len(recorded) and all(map(_holds, recorded, planned))
    return bool(recorded == planned)


def touch(files: list[Path], targets: list[str]) -> None:
    """Make Snakemake record the present params of the jobs that make `targets`; StageError says why it would not."""
    command = [sys.executable, "-m", "snakemake", "--touch", "--cores", "1"]
    config = ["--configfile", *map(str, files)] if files else []
    done = subprocess.run([*command, *config, "--", *targets], capture_output=True, text=True, check=False)
    if done.returncode:
        why = " ".join(done.stderr.split()[-60:])
        raise StageError(f"snakemake --touch failed, mend this and accept once more: {why}")


def main(argv: list[str] | None = None) -> None:
    """Accept what can be, name each run whose code was another, and each that is left."""
    files = configfiles("accept", __doc__ or "", argv)
    accepted, left = classify(make_plan(load_experiment(files, ROOT / "config.yaml")))
    for step, record in accepted.items():
        present = code_digest(step.modules)
        if present not in record["code_digests"]:
            write_json(Path(step.manifest), {**record, "code_digests": [*record["code_digests"], present]})
            print(f"accepted {step.name}: code {present}, made by {record['code_digests'][0]}")
    if accepted:
        touch(files, [step.target for step in accepted])
    for step, fault in left.items():
        print(f"left     {step.name}: {fault}")
    print(f"{len(accepted)} jobs stand under the present code, {len(left)} are left for snakemake")


if __name__ == "__main__":
    run(main)
