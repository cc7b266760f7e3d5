"""When the state of a long computation is saved: now and then, and when it is interrupted."""

import contextlib
import time
from collections.abc import Callable, Iterator

from stages.core.job.interrupt import Interrupted, uninterrupted
from stages.core.job.progress import log_line

SECONDS_BETWEEN_SAVES = 300.0  # what a killed process or a dead node costs at most


@contextlib.contextmanager
def saving(
    save: Callable[[], None], place: Callable[[], str], every: float = SECONDS_BETWEEN_SAVES
) -> Iterator[Callable[[], None]]:
    """Save the state if the block is interrupted, and say so; yields what to call where it may be saved in between.

    The call saves if more than `every` seconds went by since the last. place: where the work is, for the line said.
    An error saves nothing: the state may be what is wrong.
    """
    last = time.monotonic()

    def save_if_due() -> None:
        nonlocal last
        if time.monotonic() - last > every:
            with uninterrupted():
                save()
                last = time.monotonic()

    try:
        yield save_if_due
    except Interrupted as interrupted:
        started = time.monotonic()
        save()
        seconds = time.monotonic() - started
        log_line(
            f"interrupted by {interrupted} {place()}: state saved in {seconds:.1f} s; the next attempt goes on from it"
        )
        raise
