"""A lease on a folder: of several processes, on one machine or many, one works in it and the others wait.

The lease is a file that exactly one process can create, and whose date its holder renews. A holder whose process is
seen to be gone loses the lease at once; one elsewhere, when its date has stood still for STALE seconds of the waiting
process's own clock. Locks of the file system would be simpler, but on many clusters they are not seen by other nodes.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.interrupt import EXIT_STATUS
from stages.core.progress import say

BEAT = 10.0
STALE = 120.0  # NFS may show a date up to 60 s late
SECONDS_BETWEEN_LINES = 60.0
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class _Seen:
    """The lease file at one look: what it says of its holder, and its date in nanoseconds."""

    text: str
    date: int

    @property
    def holder(self) -> dict[str, Any]:
        """The holder's record; empty while it is being written."""
        try:
            record = json.loads(self.text)
        except ValueError:
            return {}
        return record if isinstance(record, dict) else {}


@contextlib.contextmanager
def leased(folder: Path, *, beat: float = BEAT, stale: float = STALE) -> Iterator[None]:
    """Hold the lease of `folder` while the block runs, after waiting for another holder to end or to be given up.

    beat, stale: seconds between renewals, and without one until a holder is given up. A process that was stopped
    so long that another took its lease ends itself when it wakes, by EXIT_STATUS, and writes nothing more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lease = folder / "lease.json"
    mine = json.dumps(_myself())
    _acquire(lease, mine, beat, stale)
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(lease, mine, beat, ended), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        seen = _look(lease)
        if seen is not None and seen.text == mine:
            lease.unlink(missing_ok=True)


def _acquire(lease: Path, mine: str, beat: float, stale: float) -> None:
    before: _Seen | None = None
    since = spoken = -float("inf")
    while not _create(lease, mine):
        seen, now = _look(lease), time.monotonic()
        if seen is None:
            continue
        if seen != before:
            before, since = seen, now
        if _is_gone(seen.holder) or now - since > stale:
            _take_away(lease, seen)
            continue
        if now - spoken > SECONDS_BETWEEN_LINES:
            spoken = now
            say(f"{lease.parent}: waiting for {_described(seen.holder)}, which works on the same run")
        time.sleep(min(beat, 2.0))


def _create(lease: Path, mine: str) -> bool:
    try:
        handle = os.open(lease, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as stream:
        stream.write(mine)
    return True


def _look(lease: Path) -> _Seen | None:
    """The lease as it is now: opening a file makes NFS ask for its date anew."""
    try:
        with lease.open() as stream:
            return _Seen(stream.read(), os.fstat(stream.fileno()).st_mtime_ns)
    except FileNotFoundError:
        return None


def _take_away(lease: Path, seen: _Seen) -> None:
    """Remove the lease of a holder that is gone; if another process was faster and holds it now, it gets it back."""
    aside = lease.with_name(f".{lease.name}.{uuid.uuid4().hex}")
    try:
        lease.rename(aside)
    except FileNotFoundError:
        return
    moved = _look(aside)
    if moved is not None and moved.text != seen.text:
        with contextlib.suppress(FileExistsError):
            os.link(aside, lease)
    else:
        say(f"{lease.parent}: took over from {_described(seen.holder)}, which is gone")
    aside.unlink(missing_ok=True)


def _renew(lease: Path, mine: str, beat: float, ended: threading.Event) -> None:
    while not ended.wait(beat):
        if _is_mine(lease, mine) or (not ended.wait(1.0) and _is_mine(lease, mine)):
            with contextlib.suppress(FileNotFoundError):
                os.utime(lease)
        elif not ended.is_set():
            say(f"{lease.parent}: another process took the lease while this one stood still; it ends here")
            os._exit(EXIT_STATUS)


def _is_mine(lease: Path, mine: str) -> bool:
    seen = _look(lease)
    return seen is not None and seen.text == mine


def _myself() -> dict[str, Any]:
    pid = os.getpid()
    place = {"host": socket.gethostname(), "boot": _boot(), "processes": _namespace()}
    job = os.environ.get("SLURM_JOB_ID", "")
    return {**place, "pid": pid, "started": _started(pid), "slurm_job": job, "token": uuid.uuid4().hex}


def _is_gone(holder: dict[str, Any]) -> bool:
    """Whether the holder ran on this machine, in this process namespace, and does not any more."""
    place = {"host": socket.gethostname(), "boot": _boot(), "processes": _namespace()}
    if not holder or {name: holder.get(name) for name in place} != place:
        return False
    return bool(_started(int(holder["pid"])) != holder["started"])


def _described(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    job = f", SLURM job {holder['slurm_job']}" if holder.get("slurm_job") else ""
    return f"process {holder.get('pid')} on {holder.get('host')}{job}"


def _boot() -> str:
    return BOOT.read_text().strip() if BOOT.exists() else ""


def _namespace() -> str:
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks since boot; empty if there is none, or a dead one not yet buried."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in ("Z", "X") else rest[18]
