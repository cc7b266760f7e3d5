"""`python -m workflow.commands.status`: which of an experiment's jobs are done, failed, started or missing."""

from pathlib import Path

from workflow.commands.cli import experiment_of, run
from workflow.commands.logs import read_log
from workflow.planning.jobs import Plan
from workflow.planning.stages import INDEX, STAGES
from workflow.planning.tables import make_plan

STATES = ("done", "failed", "started", "missing")


def job_states(plan: Plan, root: Path = Path()) -> dict[str, list[tuple[str, str]]]:
    """{stage: [(job, state)]}: done has its output, missing neither output nor log.

    Of those with a log and no output, failed are the ones whose log tells an error; started ones run still, were cut
    off, or lost their output.
    """
    return {
        stage.name: [
            (key, _state(root / job.file(next(iter(stage.files))), root / job.log))
            for key, job in sorted(plan.of(stage).items())
        ]
        for stage in STAGES
        if stage is not INDEX  # a step to the neighbors, and theirs tells of it
    }


def _state(output: Path, log: Path) -> str:
    if output.is_file():
        return "done"
    found = read_log(log)
    if found is None:
        return "missing"
    return "failed" if found.failure else "started"


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
