"""`python -m workflow.commands.tables`: an experiment's tables from whatever runs exist; a missing one is a dash."""

import subprocess
import sys
from typing import Any

from stages.core.files import packed_json
from workflow.commands.cli import experiment_of, run
from workflow.planning.assumptions import assumed
from workflow.planning.tables import comparisons, make_plan


def main(argv: list[str] | None = None) -> None:
    """Run the tables stage on every table's plan, without asking whether its runs are done."""
    experiment = experiment_of("tables", __doc__ or "", argv)
    out = f"results/tables/{experiment.place}"
    plan = make_plan(experiment)
    for name, table in plan.tables.items():
        _make("tables", table, out, name, "--root", ".")
    if compared := comparisons(plan)[0]:
        _make("tables.comparisons", compared, out, "comparisons", "--root", ".")
    _make("tables.assumptions", assumed(experiment), out, "assumptions")
    print(f"tables: {out}/")


def _make(stage: str, settings: dict[str, Any], out: str, name: str, *arguments: str) -> None:
    command = [sys.executable, "-m", f"stages.{stage}", "--settings", packed_json(settings), *arguments]
    subprocess.run([*command, "--out", out, "--manifest", f"{out}/{name}.json"], check=True)


if __name__ == "__main__":
    run(main)
