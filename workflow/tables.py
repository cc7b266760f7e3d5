"""`python -m workflow.tables`: an experiment's tables from whatever runs exist; a missing run is a dash, and named."""

import subprocess
import sys

from stages.core.files import packed_json
from workflow.commands import experiment_of, run
from workflow.plan import make_plan


def main(argv: list[str] | None = None) -> None:
    """Run the tables stage on every table's plan, without asking whether its runs are done."""
    experiment = experiment_of("tables", __doc__ or "", argv)
    out = f"results/tables/{experiment.place}"
    for name, table in make_plan(experiment).tables.items():
        command = [sys.executable, "-m", "stages.tables", "--settings", packed_json(table), "--root", "."]
        subprocess.run([*command, "--out", out, "--manifest", f"{out}/{name}.json"], check=True)
    print(f"tables: {out}/")


if __name__ == "__main__":
    run(main)
