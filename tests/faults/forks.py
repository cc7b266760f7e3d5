"""Stages run in children forked from a process that has loaded them, so that a start takes milliseconds.

No thread pool may be at work before a fork, so OMP_NUM_THREADS is 1 where torch is loaded (`tests.faults.__main__`).
"""

import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CRASHED = 70  # status of a child that ends with a traceback
LONGEST = 300.0  # seconds until a child is taken to hang


@dataclass(frozen=True)
class Ended:
    """How a child ended: its status or minus the signal, all that it said, and its seconds."""

    status: int
    said: str
    seconds: float

    @property
    def last(self) -> str:
        """The last line said."""
        return (self.said.strip().splitlines() or [""])[-1]


def forked(work: Callable[[], object], folder: Path, kill_after: float | None = None) -> Ended:
    """Do the work in a child with `folder` as its working directory; SIGKILL comes after so many seconds."""
    with tempfile.TemporaryFile() as log:
        sys.stdout.flush()
        sys.stderr.flush()
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _become(work, folder, log.fileno())
        descriptor = os.pidfd_open(child)
        try:
            if not select.select([descriptor], [], [], LONGEST if kill_after is None else kill_after)[0]:
                os.kill(child, signal.SIGKILL)
        finally:
            os.close(descriptor)
        _, status = os.waitpid(child, 0)
        seconds = time.monotonic() - started
        log.seek(0)
        said = log.read().decode(errors="replace")
    return Ended(os.waitstatus_to_exitcode(status), said, seconds)


def _become(work: Callable[[], object], folder: Path, log: int) -> None:
    """In the child: do the work and end, whatever comes."""
    status = CRASHED
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        work()
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        if isinstance(ending.code, str):
            os.write(2, f"{ending.code}\n".encode())
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
