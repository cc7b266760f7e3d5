"""`python -m workflow.commands.status`: which of an experiment's jobs are done, failed, started or missing."""

import re
from pathlib import Path

from workflow.commands.cli import experiment_of, run
from workflow.planning.runs import Plan
from workflow.planning.tables import make_plan

STATES = ("done", "failed", "started", "missing")
FAILURE = re.compile(r"^(error: |Traceback )", re.MULTILINE)


def job_states(plan: Plan, root: Path = Path()) -> dict[str, list[tuple[str, str]]]:
    """{stage: [(job, state)]}: done has its output, missing neither output nor log.

    Of those with a log and no output, failed are the ones whose log tells an error; started ones run still, were cut
    off, or lost their output.
    """
    outputs = {
        "data": {key: (job.path("train.safetensors"), f"logs/data/{key}.log") for key, job in plan.data.items()},
        "pretrain": {
            key: (job.path("encoder.safetensors"), f"logs/pretrain/{key}.log") for key, job in plan.pretrain.items()
        },
        "embed": {key: (job.path("embeddings.parquet"), f"logs/embed/{key}.log") for key, job in plan.embed.items()},
        "neighbors": {
            key: (job.path("neighbors.parquet"), f"logs/search/{key}.log") for key, job in plan.neighbors.items()
        },
        "structure": {
            key: (job.path("structure.parquet"), f"logs/structure/{key}.log") for key, job in plan.structure.items()
        },
        "train": {key: (job.path("model.safetensors"), f"logs/train/{key}.log") for key, job in plan.train.items()},
        "attack": {key: (f"results/attack/{key}.parquet", f"logs/attack/{key}.log") for key in plan.attack},
    }
    return {
        stage: [(key, _state(root / output, root / log)) for key, (output, log) in sorted(jobs.items())]
        for stage, jobs in outputs.items()
    }


def _state(output: Path, log: Path) -> str:
    if output.is_file():
        return "done"
    if not log.is_file():
        return "missing"
    return "failed" if FAILURE.search(log.read_text(encoding="utf-8", errors="replace")) else "started"


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
