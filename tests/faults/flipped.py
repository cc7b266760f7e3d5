"""A flipped bit or a cut file, of every kind: its reader refuses it in one line, or `make verify` finds it."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from stages.core.artifacts import read_embeddings, read_images, read_neighbors, read_structure, read_weights
from stages.core.errors import StageError
from stages.core.files import sha256_file
from stages.core.job.resume import load_state
from stages.core.lipschitz import read_lipschitz
from stages.core.outcomes import read_outcomes
from stages.core.parquet import read_table
from stages.core.pictures import read_pictures
from stages.neighbors.index import read_index
from tests.faults.suite import Row, Size, Trial, in_child
from tests.faults.versions import CPU, KEY, KINDS, plain
from tests.faults.world import Command, World
from workflow.verify import judge
from workflow.verify.files import Files

AT_ONCE = 50
Reader = Callable[[Path], Any]
READERS: Mapping[str, Reader] = {
    "data train": read_images,
    "data test": read_images,
    "pretrain encoder": read_weights,
    "pretrain history": read_table,
    "embed embeddings": read_embeddings,
    "index index": lambda path: read_index(path, read_embeddings(_embeddings(path))),
    "index checksum": lambda path: read_index(path.with_suffix(""), read_embeddings(_embeddings(path))),
    "neighbors neighbors": read_neighbors,
    "structure structure": read_structure,
    "train checkpoint": read_weights,
    "train history": read_table,
    "weights checkpoint": read_weights,
    "attack outcomes": read_outcomes,
    "autoattack outcomes": read_outcomes,
    "lipschitz outcomes": read_lipschitz,
    "pictures pictures": read_pictures,
}


def trials(world: World, size: Size) -> Iterator[Trial]:
    """Faults of every file of every kind of job, and of a saved state; AT_ONCE of them in a child."""
    named = {f"{kind} {name}" for kind, commands in world.commands.items() for name in commands[0].job.stage.files}
    assert named >= READERS.keys(), "a reader of no kind of job"
    for kind, commands in world.commands.items():
        for name in commands[0].job.stage.files:
            if (world.project.root / commands[0].job.file(name)).is_file():
                yield from _batches(f"{kind} {name}", partial(_file, world, commands[0], name), size)
    yield from _batches("resume state", _state, size)


def _batches(of: str, work: Callable[[Random], list[str]], size: Size) -> Iterator[Trial]:
    for batch in range(size.of(50, 1000) // AT_ONCE):
        chance = size.chance("flipped", of, batch)
        yield Trial(of, f"batch {batch} of flips and truncations", partial(_batch, work, chance), AT_ONCE)


def _batch(work: Callable[[Random], list[str]], chance: Random) -> None:
    with TemporaryDirectory() as name:
        in_child(lambda: work(chance), Path(name))


def _file(world: World, command: Command, name: str, chance: Random) -> list[str]:
    """The faults of a job's file that neither its reader nor `make verify` saw."""
    reader = READERS.get(f"{command.kind} {name}")
    known = {path: sha256_file(world.project.root / path) for path in _written(world)}
    vars(judge)["code_digest"] = cache(judge.code_digest)  # of code that no fault touches
    with world.without(command) as folder:
        for file in command.files:
            if (world.project.root / file).is_file():
                os.link(world.project.root / file, folder / file)
        path = folder / command.job.file(name)
        whole = path.read_bytes()
        unseen = []
        for content, said in spoiled(whole, chance):
            path.unlink()
            path.write_bytes(content)
            try:
                if reader is not None:
                    reader(path)
            except StageError as error:
                if len(str(error).splitlines()) != 1:
                    unseen.append(f"{said}: not one line: {error}")
                continue
            except Exception as error:
                unseen.append(f"{said}: {type(error).__name__}: {error}")
                continue
            if not _verified(world, folder, command.job.file(name), known):
                unseen.append(f"{said}: unseen")
        return unseen


def _written(world: World) -> list[str]:
    """Every file of the finished experiment."""
    root = world.project.root
    return [str(path.relative_to(root)) for path in (root / "results").rglob("*") if path.is_file()]


def _verified(world: World, folder: Path, victim: str, known: Mapping[str, str]) -> bool:
    """Whether `make verify` finds the file damaged, and no other one."""

    def hashes(paths: Iterable[str]) -> dict[str, str | None]:
        return {path: sha256_file(folder / path) if path == victim else known[path] for path in paths}

    found = judge.judge(Files(world.plan, folder), hashes)
    return {one.what for one in found if one.kind == "damaged"} == {victim}


def _state(chance: Random) -> list[str]:
    """The faults of a saved state that is taken up as another than it was."""
    path, kind = Path("state.pt"), KINDS["resume state"]
    kind.write(path, 0)
    whole, before = path.read_bytes(), plain(kind.read(path))
    unseen = []
    for content, said in spoiled(whole, chance):
        path.write_bytes(content)
        found = load_state(path, KEY, CPU)
        if found is not None and plain(found) != before:
            unseen.append(f"{said}: taken up as another state")
    return unseen


def spoiled(whole: bytes, chance: Random) -> Iterator[tuple[bytes, str]]:
    """A content with AT_ONCE faults, one at a time, each with what it is: three of four a flipped bit, else a cut."""
    for number in range(AT_ONCE):
        at = chance.randrange(len(whole))
        if number % 4 == 3:
            yield whole[:at], f"cut at byte {at}"
        else:
            bit = 1 << chance.randrange(8)
            yield whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :], f"bit {bit} of byte {at} flipped"


def _embeddings(index: Path) -> Path:
    """The embeddings that an index was built from."""
    told = json.loads((index.parent / "index.json").read_text())["inputs"]["embeddings"]["path"]
    return index.parents[3] / str(told)


ROW = Row("flipped", "a flipped bit or a cut file, every kind", trials)
