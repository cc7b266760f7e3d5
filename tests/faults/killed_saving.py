"""SIGKILL inside a save, of a resume state and of every kind of artifact: the file is the one before or the one after.

A child saves one version after the other, as fast as it can, and is killed after a few milliseconds.
"""

from collections.abc import Iterator
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.faults.forks import forked
from tests.faults.suite import NotHeldError, Row, Size, Trial
from tests.faults.versions import KINDS, VERSIONS, Kind, plain
from tests.faults.world import World

ONE_FILE = {name: kind for name, kind in KINDS.items() if name != "index"}  # whose checksum is a file of its own
SAVES = 6  # a kill comes within about so many


def trials(world: World, size: Size) -> Iterator[Trial]:
    """Kills in turn of every kind of file."""
    for number in range(size.of(40, 1000)):
        name, kind = list(ONE_FILE.items())[number % len(ONE_FILE)]
        yield Trial(name, f"kill {number}", partial(killed, world, kind, size, number))


def killed(world: World, kind: Kind, size: Size, number: int) -> None:
    with TemporaryDirectory(dir=world.scratch) as name:
        path = Path(name) / "saved"
        kind.write(path, 0)
        one = forked(partial(kind.write, path, 0), path.parent).seconds
        latest = SAVES * one
        ended = forked(partial(_save, kind, path), path.parent, size.chance("saving", number).uniform(0, latest))
        if ended.status != -9:
            raise NotHeldError(f"the child ended with status {ended.status} before it was killed: {ended.last}")
        try:
            found = kind.read(path)
        except Exception as error:
            raise NotHeldError(f"unloadable: {type(error).__name__}: {error}") from error
        if plain(found) not in _versions(kind):
            raise NotHeldError("the file holds neither of the versions that were saved")


def _save(kind: Kind, path: Path) -> None:
    for version in cycle(VERSIONS):
        kind.write(path, version)


@cache
def _versions(kind: Kind) -> list[Any]:
    """What the readers make of the versions."""
    with TemporaryDirectory() as name:
        path = Path(name) / "saved"
        return [(kind.write(path, version), plain(kind.read(path)))[1] for version in VERSIONS]


ROW = Row("saving", "SIGKILL inside a save, of resume states and artifacts", trials)
