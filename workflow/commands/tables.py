"""`python -m workflow.commands.tables`: an experiment's tables from whatever runs exist; a missing one is a dash."""

import subprocess
import sys
from pathlib import Path

from stages.core.config.pictures import CHECKPOINT
from stages.core.errors import ArtifactError
from stages.core.manifests import read_manifest
from workflow.commands.cli import experiment_of, run
from workflow.planning.jobs import Job
from workflow.planning.pictures import arguments
from workflow.planning.stages import ASSUMPTIONS, FIGURE, REPORT, TABLE
from workflow.planning.tables import make_plan
from workflow.verify.files import Files


def main(argv: list[str] | None = None) -> None:
    """Run pictures and tables stage on every plan of theirs, without asking whether its runs are done."""
    experiment = experiment_of("tables", __doc__ or "", argv)
    plan = make_plan(experiment)
    for job in plan.pictures.values():
        if _to_be_shown(job):
            _run(job, *arguments(job), "--pictures", job.file("pictures"), "--device", experiment.device)
    files = Files(plan)
    for job in (*plan.tables.values(), *plan.lists.values()):
        root = [] if job.stage is ASSUMPTIONS else ["--root", "."]  # they are made from no file
        gone = ["--gone", *files.gone_behind(job)] if job.stage in (TABLE, FIGURE, REPORT) else []
        _run(job, *root, "--out", job.folder, *gone)
    print(f"tables: results/tables/{experiment.place}/, all in one page: {plan.lists['report'].file('report')}")


def _to_be_shown(job: Job) -> bool:
    """Whether there is a checkpoint to show, with all that is shown beside it, and one is not shown yet."""
    checkpoints = [path for name, path in job.inputs.items() if name.startswith(CHECKPOINT)]
    there = {path for path in job.inputs.values() if Path(path).is_file()}
    if not there.intersection(checkpoints) or not there.issuperset({*job.inputs.values()} - {*checkpoints}):
        return False
    try:
        missing = read_manifest(Path(job.file("manifest")))["facts"]["missing"]
    except (ArtifactError, KeyError, TypeError):
        return True
    return bool(missing) or not Path(job.file("pictures")).is_file()


def _run(job: Job, *words: str) -> None:
    command = [sys.executable, "-m", f"stages.{job.stage.command}", "--settings", job.settings, *words]
    subprocess.run([*command, "--manifest", job.file("manifest")], check=True)


if __name__ == "__main__":
    run(main)
