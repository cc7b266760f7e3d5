"""The processes of this machine, read from /proc, and how those that a rule names are ended."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process: its id, the name of its program, its command line."""

    pid: int
    name: str
    words: tuple[str, ...]

    @property
    def variables(self) -> set[str]:
        """The environment that it was started with, as NAME=value; empty once it is gone."""
        with contextlib.suppress(OSError):
            return set(Path(f"/proc/{self.pid}/environ").read_text(errors="replace").split("\0"))
        return set()


def processes() -> Iterator[Process]:
    """Every process but the dead that nobody has buried yet."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            if rest.split()[0] not in "ZX":
                words = (folder / "cmdline").read_text(errors="replace").split("\0")[:-1]
                yield Process(int(folder.name), name, tuple(words))


def end(named: Callable[[], list[Process]], patience: float) -> list[Process]:
    """SIGTERM to the processes that `named` finds, after `patience` seconds SIGKILL; those that outlive both."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in named():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
        limit = time.monotonic() + patience
        while named() and time.monotonic() < limit:
            time.sleep(0.05)
    return named()
