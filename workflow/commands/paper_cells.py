"""`python -m workflow.commands.paper_cells`: the paper's number behind each cell of an experiment's plan, as CSV."""

import json
import subprocess
import sys

from workflow.commands.cli import ROOT, experiment_of, run
from workflow.planning.jobs import told
from workflow.planning.tables import make_plan


def main(argv: list[str] | None = None) -> None:
    """Print a line a cell: table, data set, row and column as the paper calls them, and its number."""
    plan = make_plan(experiment_of("paper_cells", __doc__ or "", argv))
    tables = [told(job.plan) for job in plan.tables.values()]
    command = [sys.executable, "-m", "stages.tables.answers"]
    subprocess.run(command, input=json.dumps(tables), text=True, check=True, cwd=ROOT)


if __name__ == "__main__":
    run(main)
