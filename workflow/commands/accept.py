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
from stages.core.files import unpacked_json, write_json
from workflow.commands.cli import ROOT, configfiles, run
from workflow.planning.jobs import Job, Plan
from workflow.planning.load import load_experiment
from workflow.planning.stages import STAGES
from workflow.planning.tables import make_plan


@dataclass(frozen=True, eq=False)
class PlannedJob:
    """A planned job and what users know it by."""

    name: str
    job: Job

    @property
    def manifest(self) -> str:
        """Where its manifest lies."""
        return self.job.file("manifest")

    @property
    def plan(self) -> dict[str, Any]:
        """The plan of a table or a list; empty for a run, whose folder's name says it."""
        return {} if self.job.stage in STAGES else unpacked_json(self.job.settings)


def planned_jobs(plan: Plan) -> Iterator[PlannedJob]:
    """Every planned job, none before one that it reads from."""
    for stage in STAGES:
        for key, job in plan.of(stage).items():
            yield PlannedJob(f"{stage.name} {key}", job)
    for name, table in plan.tables.items():
        yield PlannedJob(f"table {name}", table)
    for name, listed in plan.lists.items():
        yield PlannedJob(name, listed)


def classify(plan: Plan, root: Path = Path()) -> tuple[dict[PlannedJob, dict[str, Any]], dict[PlannedJob, str]]:
    """({accepted job: its manifest}, {job left: why}); reads manifests alone."""
    accepted: dict[PlannedJob, dict[str, Any]] = {}
    left: dict[PlannedJob, str] = {}
    written: dict[str, str | None] = {}
    for planned in planned_jobs(plan):
        try:
            record = json.loads((root / planned.manifest).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            left[planned] = "not finished"
            continue
        if fault := _fault(planned, record, written, root):
            left[planned] = fault
            continue
        accepted[planned] = record
        written |= {entry["path"]: entry["sha256"] for entry in record["outputs"].values()}
        written[planned.manifest] = None  # a manifest's own hash changes when it is accepted
    return accepted, left


def _fault(planned: PlannedJob, record: dict[str, Any], written: dict[str, str | None], root: Path) -> str:
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
    return "" if _holds(record["settings"], planned.plan) else "its plan has changed"


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
    for planned, record in accepted.items():
        present = code_digest(planned.job.modules)
        if present not in record["code_digests"]:
            write_json(Path(planned.manifest), {**record, "code_digests": [*record["code_digests"], present]})
            print(f"accepted {planned.name}: code {present}, made by {record['code_digests'][0]}")
    if accepted:
        touch(files, [next(iter(planned.job.outputs().values())) for planned in accepted])
    for planned, fault in left.items():
        print(f"left     {planned.name}: {fault}")
    print(f"{len(accepted)} jobs stand under the present code, {len(left)} are left for snakemake")


if __name__ == "__main__":
    run(main)
