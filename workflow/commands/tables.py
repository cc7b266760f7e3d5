"""`python -m workflow.commands.tables`: an experiment's tables from whatever runs exist; a missing one is a dash."""

import subprocess
import sys

from workflow.commands.cli import experiment_of, run
from workflow.planning.jobs import Job
from workflow.planning.stages import ASSUMPTIONS
from workflow.planning.tables import make_plan


def main(argv: list[str] | None = None) -> None:
    """Run the tables stage on every table's plan, without asking whether its runs are done."""
    experiment = experiment_of("tables", __doc__ or "", argv)
    plan = make_plan(experiment)
    for job in (*plan.tables.values(), *plan.lists.values()):
        _make(job)
    print(f"tables: results/tables/{experiment.place}/")


def _make(job: Job) -> None:
    command = [sys.executable, "-m", f"stages.{job.stage.command}", "--settings", job.settings]
    if job.stage is not ASSUMPTIONS:  # they are made from no file
        command += ["--root", "."]
    subprocess.run([*command, "--out", job.folder, "--manifest", job.file("manifest")], check=True)


if __name__ == "__main__":
    run(main)
