"""Hostile and malformed files: one line each, in little time and memory, and nothing in them is run."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.hostile import HOSTILE
from tests.faults.suite import Row, Size, Trial, in_child
from tests.faults.untrusted import Hostile, not_held
from tests.faults.world import World


def trials(world: World, size: Size) -> Iterator[Trial]:
    """Every file there is a generator of, each read in a child of its own."""
    for hostile in HOSTILE:
        yield Trial(hostile.read.__module__, hostile.name, partial(_read, hostile))


def _read(hostile: Hostile) -> None:
    with TemporaryDirectory() as name, TemporaryDirectory() as files:
        in_child(lambda: not_held(hostile, Path(files))[:1], Path(name))


ROW = Row("hostile", "hostile and malformed files", trials)
