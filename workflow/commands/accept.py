"""`python -m workflow.commands.accept`: take finished runs as valid under code that changes no number.

A run is accepted if its outputs are there and its manifest says that they were made from what the accepted runs
before it have written. The manifest then lists the present code digest after the older ones, and `snakemake --touch`
records the present params and puts the dates in order. What is missing, or was made from other files or another plan,
is left and named. So results that were copied, without .snakemake or with other dates, are taken too; a file that is
newer than its manifest is compared with it, and `verify` compares all.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from stages.core.code import code_digest
from stages.core.errors import ArtifactError, StageError
from stages.core.manifests import write_manifest
from workflow.commands.cli import ROOT, command_line, given_by, run
from workflow.planning.given import Given
from workflow.planning.jobs import Plan
from workflow.planning.tables import make_plan
from workflow.verify.files import Files
from workflow.verify.judge import OTHER_CODE, PlannedJob, planned_jobs, read_whole, stale
from workflow.verify.start import require_unchanged


def classify(plan: Plan, root: Path = Path()) -> tuple[dict[PlannedJob, dict[str, Any]], dict[PlannedJob, str]]:
    """({accepted job: its manifest}, {job left: why}); reads manifests alone."""
    accepted: dict[PlannedJob, dict[str, Any]] = {}
    left: dict[PlannedJob, str] = {}
    written: dict[str, str | None] = {}
    for planned in planned_jobs(plan):
        try:
            record = read_whole(root / planned.manifest)
        except ArtifactError as error:
            left[planned] = f"damaged ({error})" if (root / planned.manifest).is_file() else "not finished"
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
        if path.startswith("results/") and path not in written:
            return f"{path}, which it reads, is not accepted"
    why = stale(planned, record, written)
    return "" if why == OTHER_CODE else why


def touch(given: Given, targets: list[str]) -> None:
    """Make Snakemake record the present params of the jobs that make `targets`; StageError says why it would not.

    All of them, for without a record of their inputs' checksums it would run them again once a date is newer.
    """
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *given.words()]
    words = [*command, "--touch", "--forceall", "--cores", "1", "--", *targets]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        why = " ".join(done.stderr.split()[-60:])
        raise StageError(f"snakemake --touch failed, mend this and accept once more: {why}")


def main(argv: list[str] | None = None) -> None:
    """Accept what can be, name each run whose code was another, and each that is left."""
    given = given_by(command_line("accept", __doc__ or "").parse_args(argv))
    plan = make_plan(given.experiment())
    require_unchanged(Files(plan), given)
    accepted, left = classify(plan)
    for planned, record in accepted.items():
        present = code_digest(planned.job.modules)
        if present not in record["code_digests"]:
            write_manifest(Path(planned.manifest), {**record, "code_digests": [*record["code_digests"], present]})
            print(f"accepted {planned.name}: code {present}, made by {record['code_digests'][0]}")
    if accepted:
        touch(given, [planned.job.first for planned in accepted])
        require_unchanged(Files(plan), given)  # which dates what was touched after its manifest as that
    for planned, fault in left.items():
        print(f"left     {planned.name}: {fault}")
    print(f"{len(accepted)} jobs stand under the present code, {len(left)} are left for snakemake")


if __name__ == "__main__":
    run(main)
