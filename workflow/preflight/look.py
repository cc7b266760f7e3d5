"""All that speaks against a run, before its first job."""

import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from workflow.planning.jobs import Job, Plan
from workflow.planning.stages import STAGES
from workflow.preflight.room import faults_of_place, still_made
from workflow.preflight.sources import faults_of_files


def preflight(plan: Plan, root: Path = Path(), asked: Collection[str] | None = None) -> list[str]:
    """What stands in the way of the jobs that are still to be done, a line for each fault.

    asked: outputs of the jobs that a scheduler means to run; None: those that the tables lack, by the files there.
    """
    jobs = to_do(plan, root, asked)
    return [*faults_of_place(root, still_made(plan, jobs, root)), *faults_of_files(plan, jobs)] if jobs else []


def refuse_to_start(plan: Plan, workflow: Any) -> None:
    """End a Snakemake workflow, once its jobs are known, where a line of the preflight speaks of them."""
    asked = {str(path) for job in workflow.dag.needrun_jobs() for path in job.output}
    if workflow.is_main_process and not workflow.touch and (faults := preflight(plan, asked=asked)):
        sys.exit("\n".join(["preflight: nothing is started", *(f"preflight: {fault}" for fault in faults)]))


def to_do(plan: Plan, root: Path = Path(), asked: Collection[str] | None = None) -> list[Job]:
    """The jobs of the stages and of the tables that are still to be done, those of a stage together."""
    wanted = set(asked) if asked is not None else set(_missing(plan, root))
    jobs = [job for stage in STAGES for job in plan.of(stage).values()]
    everything = (*jobs, *plan.tables.values(), *plan.lists.values())
    return [job for job in everything if not wanted.isdisjoint(job.outputs().values())]


def _missing(plan: Plan, root: Path) -> Iterator[str]:
    """Files that are not there and are asked for by the tables, or by a job that makes one of these."""
    makers = plan.makers()
    waiting: list[str] = []
    for table in (*plan.tables.values(), *plan.lists.values()):
        waiting += table.outputs().values()
        makers |= dict.fromkeys(table.outputs().values(), table)
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path not in seen and not (root / path).exists():
            yield path
            waiting += makers[path].inputs.values() if path in makers else ()
        seen.add(path)
