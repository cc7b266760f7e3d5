"""SIGKILL at random of whole commands, Snakemake's main process and those of the workflow, alone or with their jobs.

Run again they end with the files that they would have made: outcomes, weights and tables byte for byte.
"""

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stages.core.manifests import read_manifest, write_manifest
from tests.conftest import Project
from tests.faults.alike import content
from tests.faults.processes import SNAKEMAKE, end, finished, killed, python, run_again
from tests.faults.suite import NotHeldError, Row, Size, SkippedError, Trial
from tests.faults.world import CONFIG, EVALUATE, EVALUATION, World, planned
from workflow.planning.jobs import Job, Plan

UNLIKE = ("results/resume/", "results/verify/")  # what is left of attempts
TIMED_PAGE = "report.html"
CHEAP = ("lipschitz", "table")  # stages whose jobs and what is made from them take seconds
DEAR = ("certify", "train", "attack", "pictures")
DRAWS = 6
DRY_RUN = 3.5  # seconds


@dataclass(frozen=True)
class Case:
    """A command, what leaves it something to do, the seconds that it then takes, about, and what is run after it."""

    words: tuple[str, ...]
    undo: Callable[[Plan, Project, random.Random, bool], object]
    seconds: float
    then: tuple[str, ...] = ()


def undo_jobs(plan: Plan, project: Project, chance: random.Random, full: bool) -> None:
    """Remove what some job has written and saved, with all that was made from it."""
    chosen = _some_job(plan, chance, full)
    for job in [chosen, *_made_from(chosen, list(plan.jobs()))]:
        for name in job.stage.files:
            (project.root / job.file(name)).unlink(missing_ok=True)
        if job.stage.resume:
            shutil.rmtree(project.root / job.stage.resumed(job.key), ignore_errors=True)


def _some_job(plan: Plan, chance: random.Random, full: bool) -> Job:
    among = (*CHEAP, *(DEAR if full else ()))
    return chance.choice([job for job in plan.jobs() if job.stage.name in among])


def _made_from(first: Job, jobs: list[Job]) -> list[Job]:
    """All jobs that read what the first writes, or what those write."""
    written, found = set(first.outputs().values()), list[Job]()
    for job in jobs:
        if written.intersection(job.inputs.values()):
            written |= set(job.outputs().values())
            found.append(job)
    return found


def _damage(plan: Plan, project: Project, chance: random.Random, full: bool) -> None:
    """Flip a bit of some job's file, its date as it was, and let no copy of what it wrote be at hand."""
    job = _some_job(plan, chance, full)
    paths = (project.root / job.file(name) for name in job.stage.files)
    path = chance.choice([path for path in paths if path.is_file()])
    status, content = path.stat(), bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    shutil.rmtree(project.root / "results/resume", ignore_errors=True)


def _undo_tables(plan: Plan, project: Project, chance: random.Random, full: bool) -> None:
    for job in (*plan.tables.values(), *plan.lists.values()):
        for name in job.stage.files:
            (project.root / job.file(name)).unlink(missing_ok=True)


def _undo_code(plan: Plan, project: Project, chance: random.Random, full: bool) -> None:
    """Manifests of another code."""
    for path in _manifests(project):
        record = read_manifest(path)
        write_manifest(path, {**record, "code_digests": ["0" * 16]})


def _manifests(project: Project) -> list[Path]:
    return [path for path in (project.root / "results").rglob("*.json") if '"code_digests"' in path.read_text()]


CASES = {
    "snakemake": Case(SNAKEMAKE, undo_jobs, 12.0),
    "evaluate": Case(EVALUATE, undo_jobs, 15.0),
    "tables": Case(python("workflow.commands.tables", "--configfile", CONFIG), _undo_tables, 10.0),
    "publish": Case(python("workflow.commands.publish", "--configfile", CONFIG), lambda *_: None, 3.0),
    "accept": Case(python("workflow.commands.accept", "--configfile", CONFIG), _undo_code, 7.0),
    "verify": Case(python("workflow.commands.verify", "--configfile", CONFIG, "--repair"), _damage, 1.5, SNAKEMAKE),
}


def trials(world: World, size: Size) -> Iterator[Trial]:
    """Kills of each command; every other one leaves its jobs running."""
    for place, (name, case) in enumerate(CASES.items()):
        for number in range(size.of(2, 20)):
            alone = (place + number) % 2 == 1
            said = f"kill {number}, its jobs {'run on' if alone else 'too'}"
            yield Trial(name, said, partial(_killed, world, name, case, size, number, alone))


def _killed(world: World, name: str, case: Case, size: Size, number: int, alone: bool) -> None:
    chance = size.chance("commands", name, number)
    latest = case.seconds * pace(world)
    whole = world.evaluated if name == "evaluate" else world.project
    plan = planned(whole.root, EVALUATION) if name == "evaluate" else world.plan
    for _ in range(DRAWS):
        with world.copy(whole) as project:
            case.undo(plan, project, chance, size.full)
            started = time.monotonic()
            if not killed(project, case.words, chance.uniform(0, latest), alone=alone):
                latest = min(latest, 0.8 * (time.monotonic() - started))
                continue
            try:
                run_again(project, *case.words)
                if case.then:
                    finished(project, *case.then)
                check_files(whole, project)
                _check(project, name)
            finally:
                end(project.root)
            return
    raise SkippedError(f"no kill of {DRAWS} came before the end of {name}")


def pace(world: World) -> float:
    """How many times slower a command is here and now than on two cores that do nothing else."""
    if "pace" not in world.timed:
        with world.copy(world.project) as project:
            started = time.monotonic()
            nothing_to_do(project)
            world.timed["pace"] = (time.monotonic() - started) / DRY_RUN
    return world.timed["pace"]


def check_files(whole: Project, project: Project) -> None:
    """NotHeldError unless all files of the finished project are there as they were, and nothing half-written."""
    files = [path for path in _files(whole.root) if not path.endswith(TIMED_PAGE)]
    if wrong := [path for path in files if content(project.root / path) != content(whole.root / path)]:
        raise NotHeldError(f"{len(wrong)} files differ from those without the fault: {', '.join(wrong[:3])}")
    if left := [path for path in _files(project.root) if Path(path).name.startswith(".") and "published" not in path]:
        raise NotHeldError(f"{', '.join(left[:3])} is left")


def _check(project: Project, name: str) -> None:
    """NotHeldError unless what the command adds is there."""
    if name == "accept":
        nothing_to_do(project)
    if name == "publish":
        finished(project, *python("workflow.commands.republish", "--check"))


def nothing_to_do(project: Project) -> None:
    """NotHeldError unless Snakemake takes all that is there as made."""
    if "Nothing to be done" not in (told := finished(project, *SNAKEMAKE, "-n")):
        raise NotHeldError(f"finished jobs are to be made again: {' '.join(told.split()[-30:])}")


def _files(root: Path) -> list[str]:
    paths = (str(path.relative_to(root)) for path in (root / "results").rglob("*") if path.is_file())
    return [path for path in paths if not path.startswith(UNLIKE)]


ROW = Row("commands", "SIGKILL at random, whole commands", trials)
