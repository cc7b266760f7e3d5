"""SIGTERM and Ctrl-C end a stage in order: at once, or after the step in flight where a cut would spoil the state.

SLURM sends SIGTERM before it preempts a job or at its time limit, and SIGKILL when the grace is over.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

EXIT_STATUS = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, run the job again
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """The process is asked to stop; its text is the signal's name. No Exception, so that libraries let it pass."""


@dataclass
class _Asked:
    """The signal that came, and how many `uninterrupted` blocks it has to wait for."""

    name: str | None = None
    raised: bool = False
    blocks: int = 0


_asked = _Asked()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within, the first SIGTERM or SIGINT raises Interrupted, and further ones are ignored while the state is saved.

    Elsewhere than in the main thread, where Python handles no signals, nothing changes.
    """
    global _asked
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _asked = _Asked()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number in SIGNALS:
            signal.signal(number, _on_signal)
        yield
    finally:
        _asked.raised = True  # from here on there is nothing left to stop
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked = _Asked()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Within, a signal waits for the end of the block; there it raises Interrupted, also where a library hid it."""
    _asked.blocks += 1
    try:
        yield
    finally:
        _asked.blocks -= 1
    if _asked.name is not None and _asked.blocks == 0:
        _asked.raised = True
        raise Interrupted(_asked.name)


def _on_signal(number: int, frame: FrameType | None) -> None:
    _asked.name = _asked.name or signal.Signals(number).name
    if _asked.blocks == 0 and not _asked.raised:
        _asked.raised = True
        raise Interrupted(_asked.name)
