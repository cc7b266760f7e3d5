"""`python -m workflow.commands.status`: which of an experiment's jobs are done, failed, started or missing."""

import time
from pathlib import Path

from workflow.commands.cli import experiment_of, run
from workflow.commands.watch.look import Observer
from workflow.planning.jobs import Plan
from workflow.planning.tables import make_plan

STATES = ("done", "failed", "started", "missing")


def job_states(plan: Plan, root: Path = Path()) -> dict[str, list[tuple[str, str]]]:
    """{stage: [(job, state)]}: done has its output, missing neither output nor log.

    Of those with a log and no output, failed are the ones whose log ends in an error; started ones run still, were cut
    off, or lost their output, which `workflow.commands.watch` tells apart.
    """
    stages = Observer(plan, root).look(time.time()).stages
    return {
        name: sorted((seen.job.key, seen.state if seen.state in STATES else "started") for seen in jobs)
        for name, jobs in stages.items()
    }


def main(argv: list[str] | None = None) -> None:
    """Print a count a stage, then every job that is not done."""
    experiment = experiment_of("status", __doc__ or "", argv)
    states = job_states(make_plan(experiment))
    print(f"experiment {experiment.place}")
    for stage, jobs in states.items():
        found = [state for _, state in jobs]
        counts = ", ".join(f"{found.count(state)} {state}" for state in STATES if state in found)
        print(f"  {stage:10} {counts}")
    for stage, jobs in states.items():
        for key, state in jobs:
            if state != "done":
                print(f"{state:8} {stage} {key}")


if __name__ == "__main__":
    run(main)
