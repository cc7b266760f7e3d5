"""Files that a run makes again though what was made from them is there: a repair asked for it, or a new job reads them.

Snakemake by itself makes no file that only finished jobs read; and where it makes one again, it does so with all that
was made from it. So these files become targets of the run, and the jobs that are done and read them are left as they
are: if they come out with the same bits nothing else is touched, and if not the run after that sees it.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from stages.core.files import write_json
from workflow.planning.jobs import Plan
from workflow.verify.files import Files

BEING_MADE = "results/verify/being-made-again"  # the input, never there, of a job that is left as it is


def record_of(plan: Plan) -> Path:
    """Where it is noted what is to be made again."""
    return Path(f"results/verify/{plan.experiment.place}.json")


def noted(files: Files) -> list[str]:
    """The noted files that are planned and still absent."""
    try:
        again = json.loads((files.root / record_of(files.plan)).read_text(encoding="utf-8"))["again"]
        return [path for path in again if path in files.maker and not files.is_there(path)]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def note(files: Files, again: Iterable[str]) -> None:
    """Note the files that are to be made again, in the place of those noted before."""
    path, paths = files.root / record_of(files.plan), list(again)
    if paths:
        write_json(path, {"again": paths})
    else:
        path.unlink(missing_ok=True)


def leave_finished(files: Files, again: Iterable[str]) -> None:
    """Change the plan so that no job that is done is run for the files that are made again."""
    made = made_for(files, again)
    for job in files.jobs:
        if files.is_done(job) and not made.isdisjoint(job.inputs.values()) and made.isdisjoint(job.outputs().values()):
            files.plan.put(replace(job, inputs={BEING_MADE: BEING_MADE}))


def made_for(files: Files, again: Iterable[str]) -> set[str]:
    """All that the jobs write which make some files, and before them those that make what is absent of their inputs."""
    made: set[str] = set()
    waiting = list(again)
    while waiting:
        path = waiting.pop()
        job = files.maker.get(path)
        if job is not None and path not in made and not files.is_there(path):
            made.update(job.outputs().values())
            waiting.extend(job.inputs.values())
    return made
