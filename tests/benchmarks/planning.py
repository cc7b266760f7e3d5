"""`python -m tests.benchmarks.planning`: CPU seconds and memory of planning, our share and Snakemake's own.

Ours is config files, runs, digests and tables; Snakemake's is the rest of a dry run. On a cluster every job plans once
more. Byte code is kept for a first, uncounted run, as it is wherever Python may write it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL
from typing import NamedTuple

from workflow.planning.jobs import Job, Plan
from workflow.planning.load import load_experiment
from workflow.planning.stages import STAGES
from workflow.planning.tables import make_plan

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "workflow/experiments/paper.yaml"
SEEDS = 60


class Cost(NamedTuple):
    """What a process took: user and system seconds, and the most memory it held."""

    seconds: float
    megabytes: float


def main() -> None:
    """Print a line for the demo, one for the paper with many seeds, and one for the demo when all of it is done."""
    cli = argparse.ArgumentParser(prog="python -m tests.benchmarks.planning", description=__doc__)
    cli.add_argument("--seeds", type=int, default=SEEDS, help=f"seeds of the paper's experiment (default: {SEEDS})")
    cli.add_argument(
        "--only-plan", type=Path, nargs="*", help="plan these config files and end: the share that is ours"
    )
    args = cli.parse_args()
    if args.only_plan is not None:
        plan_of(args.only_plan)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        seeds = folder / "seeds.yaml"
        seeds.write_text(f"seeds: {list(range(args.seeds))}\n")
        line("uncounted", [], folder)
        print(line("demo", [], folder))
        print(line(f"paper with {args.seeds} seeds", [PAPER, seeds], folder))
        finish(plan_of([]), folder)
        print(f"demo, all done: {dry_run([], folder).seconds:.1f} s")


def line(name: str, files: Sequence[Path], folder: Path) -> str:
    """What planning an experiment takes: our share, Snakemake's own, and both with the most memory."""
    ours = measured(["tests.benchmarks.planning", "--only-plan", *map(str, files)], ROOT, folder)
    whole = dry_run(files, folder)
    own = whole.seconds - ours.seconds
    return (
        f"{name}: {len(jobs_of(plan_of(files)))} jobs, ours {ours.seconds:.1f} s, Snakemake's own {own:.1f} s,"
        f" whole {whole.seconds:.1f} s, peak {whole.megabytes:.0f} MB"
    )


def plan_of(files: Sequence[Path]) -> Plan:
    """The plan of an experiment of which nothing is done."""
    return make_plan(load_experiment(files, ROOT / "config.yaml"), Path("nothing here"))


def jobs_of(plan: Plan) -> list[Job]:
    """Every job of a plan."""
    runs = [job for stage in STAGES for job in plan.of(stage).values()]
    return [*runs, *plan.tables.values(), *plan.lists.values()]


def dry_run(files: Sequence[Path], folder: Path) -> Cost:
    """What `snakemake --dry-run` takes with its results in `folder`."""
    return measured(["snakemake", "--dry-run", "--quiet", "all", *arguments(files, folder)], folder, folder)


def finish(plan: Plan, folder: Path) -> None:
    """Make empty outputs of all jobs, and manifests with their settings, and let Snakemake record them as made."""
    for job in jobs_of(plan):
        for path in (folder / path for path in job.outputs().values()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        if job.settings.startswith("{"):
            (folder / job.file("manifest")).write_text(json.dumps({"settings": json.loads(job.settings)}))
    measured(["snakemake", "--touch", *arguments([], folder)], folder, folder)


def arguments(files: Sequence[Path], folder: Path) -> list[str]:
    """Those of each call of Snakemake."""
    config = ["--configfile", *map(str, files)] if files else []
    return ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--cores", "1", *config]


def measured(module: Sequence[str], place: Path, folder: Path) -> Cost:
    """What `python -m <module>` takes, run in `place` and its byte code kept in `folder`."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    with subprocess.Popen(
        [sys.executable, "-m", *module], cwd=place, env=environ, stdout=DEVNULL, stderr=DEVNULL
    ) as run:
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        raise SystemExit(f"python -m {' '.join(module)}: failed with status {run.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
