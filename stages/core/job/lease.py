"""A lease on a folder: of several processes, on one machine or many, one works in it and the others wait.

The lease is a folder with one file, named at random and renewed by its holder. A folder can be renamed to an empty or
missing one, never to one with a file in it, so one process at a time comes in; and a holder is removed by its file's
own name, so never another that came after it. A holder is given up when its process is seen to be gone; where it
cannot be seen, on another machine, when its heartbeat is stale for STALE seconds of the waiting process's clock.
No library does this: filelock and its like use locks of the file system, which on many clusters other nodes do not
see, or a bare lock file, which stays for ever when its holder's node dies.
"""

import contextlib
import errno
import json
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.job.interrupt import EXIT_STATUS, uninterrupted
from stages.core.job.progress import log_line
from stages.core.refused import naming

BEAT = 10.0
STALE = 120.0  # NFS may show a date up to 60 s late
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_BETWEEN_LINES = 60.0
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class _Seen:
    """The lease at one look: its holder's file, what the file says, and its heartbeat, a date in nanoseconds."""

    file: Path
    holder: dict[str, Any]
    heartbeat: int


@contextlib.contextmanager
def leased(folder: Path, *, beat: float = BEAT, stale: float = STALE) -> Iterator[None]:
    """Hold the lease of `folder` while the block runs, after waiting for another holder to end or to be given up.

    beat, stale: seconds between renewals, and without one until a holder out of sight is given up. A process that
    was stopped so long that another took its lease ends itself by EXIT_STATUS when it wakes.
    """
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    held = folder / "lease" / f"{uuid.uuid4().hex}.json"
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(held, beat, ended), daemon=True)
    try:
        with naming(folder):
            _acquire(held, min(beat, SECONDS_BETWEEN_LOOKS), stale)
        renewing.start()
        yield
    finally:
        with uninterrupted():
            ended.set()
            if renewing.is_alive():
                renewing.join()
            with contextlib.suppress(OSError):  # what stays is seen to be of a process that is gone
                _remove(held)


def _acquire(held: Path, pause: float, stale: float) -> None:
    before: _Seen | None = None
    since = spoken = -float("inf")
    while True:
        asked = time.monotonic()  # before the look, which may take long: the date seen is no older than this
        seen = _look(held.parent)
        if seen is None and _enter(held):
            return
        if seen is not None:
            if seen != before:
                before, since = seen, time.monotonic()
            if _is_given_up(seen.holder, asked - since, stale):
                log_line(f"{held.parent.parent}: taken over from {_described(seen.holder)}, which is gone")
                _remove(seen.file)
                continue
            if asked - spoken > SECONDS_BETWEEN_LINES:
                spoken = asked
                log_line(f"{held.parent.parent}: waiting for {_described(seen.holder)}, which works on the same run")
        time.sleep(pause)


def _enter(held: Path) -> bool:
    """Put a folder with this process's record in the lease's place, unless another process holds it."""
    ready = held.parent.with_name(f".lease.{held.stem}")
    try:
        ready.mkdir()
        (ready / held.name).write_text(json.dumps(_myself()), encoding="utf-8")
        ready.rename(held.parent)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    finally:
        shutil.rmtree(ready, ignore_errors=True)
    return True


def _look(lease: Path) -> _Seen | None:
    """The lease as it is now, None if nobody holds it: opening a file makes NFS ask for its date anew."""
    try:
        for name in os.listdir(lease):
            if not name.startswith("."):  # NFS keeps a removed file by such a name while a process reads it
                with (lease / name).open(encoding="utf-8", errors="replace") as stream:
                    return _Seen(lease / name, _record(stream.read()), os.fstat(stream.fileno()).st_mtime_ns)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESTALE):
            raise
    return None


def _record(text: str) -> dict[str, Any]:
    """What a holder says of itself; empty if a crash of its machine left the file without its text."""
    try:
        record = json.loads(text)
        plain = 0 < record["pid"] < 2**31 and isinstance(record["started"], str)
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return record if plain else {}


def _remove(file: Path) -> None:
    """End the holder's lease of this file, if it still has it."""
    file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it is held by the next already, or removed
        file.parent.rmdir()


def _renew(held: Path, beat: float, ended: threading.Event) -> None:
    while not ended.wait(beat):
        try:
            os.utime(held)
        except FileNotFoundError:
            try:
                log_line(f"{held.parent.parent}: its lease is gone, taken while this process stood still; it ends here")
            finally:
                os._exit(EXIT_STATUS)
        except OSError:  # a file system that is away comes back, and tells then who holds the lease
            continue


def _myself() -> dict[str, Any]:
    pid = os.getpid()
    return {**_here(), "pid": pid, "started": _started(pid), "slurm_job": os.environ.get("SLURM_JOB_ID", "")}


def _here() -> dict[str, str]:
    """What two processes share that see each other: the machine since its last start, and the process namespace."""
    boot = namespace = ""
    with contextlib.suppress(OSError):
        boot, namespace = BOOT.read_text().strip(), os.readlink("/proc/self/ns/pid")
    return {"host": socket.gethostname(), "boot": boot, "processes": namespace}


def _is_given_up(holder: dict[str, Any], age: float, stale: float) -> bool:
    """Whether the holder's process has ended or, if it cannot be seen, its heartbeat, `age` seconds old, is stale."""
    lives = _lives(holder)
    return age > stale if lives is None else not lives


def _lives(holder: dict[str, Any]) -> bool | None:
    """Whether the holder's process runs; None if that cannot be seen from here."""
    if any(holder.get(name) != value for name, value in _here().items()):
        return None
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    started = _started(holder["pid"])
    return None if started is None else started == holder["started"]


def _started(pid: int) -> str | None:
    """When a process began, in the kernel's ticks since boot; empty if it is dead but not buried, None if hidden."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return "" if state in ("Z", "X") else rest[18]


def _described(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    job = f", SLURM job {holder['slurm_job']}" if holder.get("slurm_job") else ""
    return f"process {holder.get('pid')} on {holder.get('host')}{job}"
