"""Progress of long work: a bar on a terminal, a line now and then in a log."""

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0
T = TypeVar("T")


def log_line(message: str) -> None:
    """One line to standard error, at once, above a bar if there is one; a log that takes none stops no work."""
    with contextlib.suppress(OSError):
        tqdm.write(message, file=sys.stderr)
        sys.stderr.flush()


def progress(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yield the items and show how far it is: a bar on a terminal, else a line every ten seconds."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total, leave=False)
        return
    spoken = started = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - spoken >= SECONDS_BETWEEN_LINES:
            spoken = now
            log_line(f"{what}: {done}/{total} in {now - started:.0f} s")
        yield item
