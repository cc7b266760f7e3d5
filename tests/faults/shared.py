"""Two Snakemakes on one folder, jobs that outlive the main process, copies, and other dates: the same results, once."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial

from tests.conftest import Project
from tests.faults.killed_commands import check_files, nothing_to_do, undo_jobs
from tests.faults.processes import (
    LONGEST,
    SNAKEMAKE,
    end,
    finished,
    killed,
    left_running,
    python,
    run_again,
    said,
    start,
    wait,
)
from tests.faults.suite import NotHeldError, Row, Size, Trial
from tests.faults.world import CONFIG, World

Way = Callable[[World, Project, Size], None]
CI = (0, 2, 6, 7)
DAY = 86_400.0
ACCEPT = python("workflow.commands.accept", "--configfile", CONFIG)


def trials(world: World, size: Size) -> Iterator[Trial]:
    """Eight ways in the full size, four in the CI's, whose jobs are short ones too."""
    ways: dict[str, Way] = {
        "two Snakemakes at once": _two,
        "two Snakemakes at once, without its lock": partial(_two, options=("--nolock",)),
        "the main process killed, its jobs run on, and another started at once": partial(_orphans, awaited=False),
        "the main process killed, its jobs run to their end, and another started": partial(_orphans, awaited=True),
        "a copy with .snakemake": partial(_copied, records=True, spread=0.0),
        "a copy without .snakemake, accepted": partial(_copied, records=False, spread=0.0),
        "every file's date changed by up to a day": partial(_copied, records=True, spread=DAY),
        "a copy without .snakemake, dates changed by up to a day, accepted": partial(
            _copied, records=False, spread=DAY
        ),
    }
    for place, (said_so, way) in enumerate(ways.items()):
        if size.full or place in CI:
            yield Trial(said_so, "", partial(_done, world, way, size))


def _done(world: World, way: Way, size: Size) -> None:
    with world.copy(world.project) as project:
        try:
            way(world, project, size)
            check_files(world.project, project)
        finally:
            end(project.root)


def _two(world: World, project: Project, size: Size, options: tuple[str, ...] = ()) -> None:
    """Both go for the same jobs; one may be refused the folder, in words."""
    chance = size.chance("two", *options)
    undo_jobs(world.plan, project, chance, size.full)
    told, running = [], []
    for number in range(2):
        running.append(start(project, *SNAKEMAKE, *options, into=f"said{number}.txt"))
        time.sleep(chance.uniform(0, 2))
    for number, process in enumerate(running):
        process.wait(LONGEST)
        told.append(said(project, f"said{number}.txt"))
    for process, text in zip(running, told, strict=True):
        if process.returncode and "lock" not in text:
            raise NotHeldError(f"one ends with status {process.returncode}: {text.strip()[-300:]}")
    if all(process.returncode for process in running):
        raise NotHeldError("both were refused the folder")
    nothing_to_do(project)


def _orphans(world: World, project: Project, size: Size, *, awaited: bool) -> None:
    """The main process is killed once a job is at work."""
    chance = size.chance("orphans", awaited)
    undo_jobs(world.plan, project, chance, size.full)
    before = set((project.root / "logs").rglob("*.[0-9]*.log"))

    def at_work() -> bool:
        return bool(set((project.root / "logs").rglob("*.[0-9]*.log")) - before)

    if not killed(project, SNAKEMAKE, at_work, alone=True):
        raise NotHeldError("Snakemake ended before a job of its was at work")
    if awaited:
        wait(lambda: bool(left_running(project.root)))
    run_again(project, *SNAKEMAKE)
    nothing_to_do(project)


def _copied(world: World, project: Project, size: Size, *, records: bool, spread: float) -> None:
    """The project's copy is what `cp -r` makes: new dates; or dates that are each moved by up to `spread` seconds."""
    chance = size.chance("copied", records, spread)
    if not records:
        shutil.rmtree(project.root / ".snakemake")
    now = time.time()
    for path in sorted((project.root / "results").rglob("*")):
        os.utime(path, (date := now + chance.uniform(-spread, spread), date))
    if not records:
        finished(project, *ACCEPT)
    nothing_to_do(project)


ROW = Row("shared", "two Snakemakes, orphans, copies, dates", trials)
