"""The hashes of many files: threads read them side by side, and an interrupted pass is gone on with.

What is hashed is noted with size and date; a pass that came to its end forgets it, so that the next one reads every
byte again and sees what changed without a new date.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from stages.core.files import sha256_file, write_json

SECONDS_BETWEEN_NOTES = 10.0
Note = tuple[int, int, str]  # bytes, date in ns, SHA-256


@dataclass
class Pass:
    """Hashes by path, None for a file that cannot be read; bytes and seconds that it took, and how many were known."""

    hashes: dict[str, str | None]
    read: int = 0
    seconds: float = 0.0
    known: int = 0


def hash_all(paths: Iterable[str], record: Path, root: Path = Path()) -> Pass:
    """Hash files; record: where the pass is noted while it lasts."""
    started, wanted = time.monotonic(), list(dict.fromkeys(paths))
    notes = _notes(record)
    found = Pass({path: notes[path][2] for path in wanted if path in notes and _stamp(root / path) == notes[path][:2]})
    found.known = len(found.hashes)
    left = {path: stamp for path in wanted if path not in found.hashes if (stamp := _stamp(root / path)) is not None}
    noted = {path: notes[path] for path in found.hashes}
    try:
        with _bar() as bar, ThreadPoolExecutor(os.cpu_count()) as pool:
            shown = bar.add_task("", total=sum(size for size, _ in left.values()))
            waiting: dict[Future[str | None], str] = {pool.submit(_hash, root / path): path for path in left}
            last = time.monotonic()
            try:
                for done in as_completed(waiting):
                    path, sha = waiting[done], done.result()
                    found.hashes[path] = sha
                    found.read += left[path][0]
                    bar.advance(shown, left[path][0])
                    if sha is not None:
                        noted[path] = (*left[path], sha)
                    if time.monotonic() - last > SECONDS_BETWEEN_NOTES:
                        write_json(record, noted)
                        last = time.monotonic()
            finally:
                pool.shutdown(cancel_futures=True)
    except BaseException:
        write_json(record, noted)
        raise
    record.unlink(missing_ok=True)
    found.seconds = time.monotonic() - started
    return found


def _bar() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("hashing"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _hash(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except OSError:
        return None


def _stamp(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_size, status.st_mtime_ns
    return None


def _notes(record: Path) -> dict[str, Note]:
    try:
        read = json.loads(record.read_text(encoding="utf-8"))
        return {path: (int(size), int(date), str(sha)) for path, (size, date, sha) in read.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
