"""Temporary files that a killed process left beside what it was writing (see `files.atomic`).

Run as a program it removes them all below the folder that is named, for `make clean`, and needs no package.
"""

import contextlib
import fcntl
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

TEMPORARY = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}")  # as tempfile.mkstemp ends a name
OLD = 24 * 3600.0  # seconds; where a file system knows no locks, a writer of before then is taken for dead


def sweep(files: Iterable[Path]) -> None:
    """Remove what killed processes left of these files; what a process still writes stays."""
    names: dict[Path, set[str]] = {}
    for file in files:
        names.setdefault(file.parent, set()).add(file.name)
    for folder, wanted in names.items():
        for found in _temporary(folder):
            match = TEMPORARY.fullmatch(found.name)
            if match and match["name"] in wanted:
                _remove_if_left(found)


def sweep_below(folder: Path) -> list[Path]:
    """Remove what killed processes left anywhere below a folder, and return it."""
    return [path for place, _, _ in os.walk(folder) for path in _temporary(Path(place)) if _remove_if_left(path)]


def _remove_if_left(path: Path) -> bool:
    """Remove a temporary file unless its writer lives; whether it was removed."""
    try:
        with path.open("rb+") as stream:
            if not _is_left(stream.fileno()):
                return False
            path.unlink()
    except OSError:  # gone meanwhile, or another user's
        return False
    return True


def _temporary(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def _is_left(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - os.fstat(handle).st_mtime > OLD
    return True


if __name__ == "__main__":
    for removed in sweep_below(Path(sys.argv[1])):
        print(f"removed {removed}")
