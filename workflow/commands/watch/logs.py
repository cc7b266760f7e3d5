"""A job's log as another process reads it while it grows: its first line and its last ones, never the whole."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

HEAD, TAIL = 512, 64 * 1024  # bytes; an epoch's line has some 250
HEADER = re.compile(r"attempt \d+ on .*?(\d{4}-\d\d-\d\dT[\d:]+\+00:00).*")  # workflow/launch/job.py
ENDS = re.compile(r"[\r\n]+")  # a bar goes back by \r
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Log:
    """A log at one look: when it last grew, in seconds since 1970, its first line, and its last whole ones."""

    modified: float
    first: str
    lines: tuple[str, ...]

    @cached_property
    def begun(self) -> float | None:
        """When the attempt began, in seconds since 1970, if its first line says so."""
        header = HEADER.fullmatch(self.first)
        return datetime.fromisoformat(header[1]).timestamp() if header else None

    @cached_property
    def failure(self) -> str:
        """The line of the error it ends in, its own or the last of a traceback; nothing if it tells of none."""
        for place in range(len(self.lines) - 1, -1, -1):
            line = self.lines[place]
            if line.startswith("error: "):
                return line
            if line.startswith("Traceback "):
                return next((after for after in self.lines[place + 1 :] if not after[0].isspace()), line)
        return ""

    @property
    def said(self) -> tuple[str, ...]:
        """The last lines without the attempt's own first."""
        return self.lines[1:] if self.lines and HEADER.fullmatch(self.lines[0]) else self.lines


def read_log(path: Path, tail: int = TAIL) -> Log | None:
    """Its first line and those in its last `tail` bytes; None where there is none.

    A line that is cut, at the beginning of the tail or because it is being written, is left out.
    """
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            head = stream.read(HEAD)
            start = max(0, status.st_size - tail)
            stream.seek(start)
            last = stream.read(tail)
    except OSError:  # not there, or a file system that is away
        return None
    lines = [] if not tail else _split(last)[start > 0 : -1]
    first, *others = _split(head)
    return Log(status.st_mtime, first if others else "", tuple(line for line in lines if line.strip()))


def _split(text: bytes) -> list[str]:
    """Lines as one may print them: escape sequences and other control characters left out."""
    plain = ESCAPES.sub("", text.decode("utf-8", errors="replace"))
    return ["".join(c if c.isprintable() else " " for c in line).rstrip() for line in ENDS.split(plain)]
