"""SIGKILL at a random moment of every stage's command: nothing half-made stands, and run again it ends as ever."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from stages.core.job import epochs
from stages.core.job.saving import saving
from tests.faults.alike import content, different
from tests.faults.forks import Ended, forked
from tests.faults.suite import NotHeldError, Row, Size, SkippedError, Trial
from tests.faults.world import Command, World

SAVING = ("stages.attack.__main__", "stages.attack.certificate.__main__", "stages.lipschitz.__main__")
DRAWS = 20  # moments drawn until one comes before the job's end


def trials(world: World, size: Size) -> Iterator[Trial]:
    """Kills of every kind of job, one of the kind after the other."""
    for kind, commands in world.commands.items():
        yield Trial(kind, "never killed, in a child as in a process of its own", partial(_whole, world, commands[0]))
        for number in range(size.of(2, 20)):
            command = commands[number % len(commands)]
            said = f"{command.job.key}, kill {number}"
            yield Trial(kind, said, partial(_killed, world, command, size, number))


def _whole(world: World, command: Command) -> None:
    with world.without(command) as folder:
        ended = forked(command.run, folder)
        world.timed[command.job.log] = ended.seconds
        _check_end(world, command, folder, ended)


def _killed(world: World, command: Command, size: Size, number: int) -> None:
    chance = size.chance("killed", command.job.key, number)
    work = partial(_saving_often, command) if chance.random() < 0.5 else command.run
    latest = world.seconds(command)
    for _ in range(DRAWS):
        with world.without(command) as folder:
            if forked(work, folder, kill_after=chance.uniform(0, latest)).status != -9:
                latest *= 0.9
                continue
            if wrong := [path for path in _there(folder, command) if not _is_whole(world, folder, path)]:
                raise NotHeldError(f"after the kill {', '.join(wrong)} is there and not what the job makes")
            _check_end(world, command, folder, forked(command.run, folder))
            return
    raise SkippedError(f"no kill of {DRAWS} came before the end of {command.kind}")


def _saving_often(command: Command) -> None:
    """Run it with its state saved as often as it can be."""
    epochs.saving = partial(saving, every=-1.0)
    for name in SAVING:
        if name in sys.modules:
            vars(sys.modules[name])["SECONDS_BETWEEN_SAVES"] = -1.0
    command.run()


def _there(folder: Path, command: Command) -> list[str]:
    return [path for path in command.files if (folder / path).is_file()]


def _is_whole(world: World, folder: Path, path: str) -> bool:
    """Whether a file is what the finished experiment holds."""
    try:
        return bool(content(folder / path) == content(world.project.root / path))
    except Exception:
        return False


def _check_end(world: World, command: Command, folder: Path, ended: Ended) -> None:
    """NotHeldError unless the job has ended well, with the files of the finished experiment and nothing beside them."""
    if ended.status:
        raise NotHeldError(f"run again it ends with status {ended.status}: {ended.last}")
    if wrong := different(folder, world.project.root, command.files):
        raise NotHeldError(f"{', '.join(wrong)}: other than without the kill")
    places = {(folder / path).parent for path in command.files}
    if left := [path.name for place in places for path in place.iterdir() if path.name.startswith(".")]:
        raise NotHeldError(f"{', '.join(left)} is left beside the outputs")
    saved = list((folder / command.resumed).glob("*.pt*")) if command.resumed else []
    if saved:
        raise NotHeldError(f"{saved[0].name} is left, though the job is done")


ROW = Row("killed", "SIGKILL at random, every stage by hand", trials)
