"""What a hostile or malformed file is, made anew by a generator, and the law that all of them are held to."""

import re
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stages.core.errors import StageError

SECONDS, BYTES = 2.0, 500 * 2**20  # of computing, and of memory above what the process has before
LONGEST = 1000  # characters of a line
CANARY = "canary"  # what a file makes if anything in it is run


@dataclass(frozen=True)
class Hostile:
    """A file that nobody should trust.

    make: makes it in an empty folder and returns its path; read: what reads such a file in the project, given that
    path; told: what the line has to hold, where it is not the file's name; said: what it holds besides.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    told: str | None = None
    said: tuple[str, ...] = ()


def not_held(hostile: Hostile, folder: Path) -> list[str]:
    """What does not hold of: one line that names the file, in little time and memory, and nothing in it is run."""
    path = hostile.make(folder)
    had, began = _peak(), time.process_time()
    try:
        hostile.read(path)
    except StageError as error:
        line = str(error)
    except SystemExit as ended:
        line = str(ended.code)
    except BaseException as error:
        return [f"{type(error).__name__}: {error}"]
    else:
        return ["it was taken"]
    seconds, taken = time.process_time() - began, _peak(anew=False) - had
    held = {
        f"it is not one line: {line}": len(line.splitlines()) == 1 and len(line) < LONGEST,
        f"it names no file: {line}": (path.name if hostile.told is None else hostile.told) in line,
        f"it tells to delete: {line}": re.search("delete|remove", line) is None,
        f"it took {seconds:.1f} s": seconds < SECONDS,
        f"it took {taken / 2**20:.0f} MB": taken < BYTES,
        "something in it was run": not any(folder.rglob(CANARY)),
        **{f"it does not say '{part}': {line}": part in line for part in hostile.said},
    }
    return [reason for reason, holds in held.items() if not holds]


def _peak(anew: bool = True) -> int:
    """Peak memory of this process in bytes; anew: from now on, where the system can count so."""
    try:
        if anew:
            Path("/proc/self/clear_refs").write_text("5")
        told = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(told[1]) * 1024 if told else 0
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def written(content: bytes, name: str) -> Callable[[Path], Path]:
    """A generator of a file of these bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def sparse(size: int, name: str, start: bytes = b"") -> Callable[[Path], Path]:
    """A generator of a file of that size, zeros that take no space."""

    def make(folder: Path) -> Path:
        with (folder / name).open("wb") as stream:
            stream.write(start)
            stream.truncate(size)
        return folder / name

    return make


def linked(target: str, name: str) -> Callable[[Path], Path]:
    """A generator of a link."""

    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
        return folder / name

    return make
