"""A disk that is full or read-only, without inodes, a limit on file sizes, no permission: one line, the old file kept.

Every kind of file is written over an older version of itself, every stage's command runs from its start.
"""

import contextlib
import ctypes
import os
import resource
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.core.job.lease import leased
from stages.core.job.stage import one_line_errors
from tests.faults.forks import Ended, forked
from tests.faults.suite import NotHeldError, Row, Size, SkippedError, Trial
from tests.faults.versions import KINDS, Kind
from tests.faults.world import Command, World

PAGE = 4096
SHARES = (0.0, 0.25, 0.5, 0.75)  # of what is to be written, in whole pages, and all but one page of it
NOBODY = 65534
PR_SET_KEEPCAPS, LINUX_CAPABILITY_VERSION_3 = 8, 0x20080522
READ = 1 << 2  # CAP_DAC_READ_SEARCH
DISK = 64 * 2**20


def _full(folder: Path, needed: int, share: float | None) -> None:
    """Leave so much of the disk's room: a share of the bytes needed, or all pages but one."""
    pages = -(-needed // PAGE)
    left = (pages - 1 if share is None else int(share * pages)) * PAGE
    free = os.statvfs(folder).f_bavail * PAGE - left
    with (folder / ".ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, free)


def _without_inodes(folder: Path, needed: int) -> None:
    (folder / ".many").mkdir()
    with contextlib.suppress(OSError):
        for number in range(DISK):
            (folder / ".many" / str(number)).touch()


def _read_only(folder: Path, needed: int) -> None:
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)


def _as_it_is(folder: Path, needed: int) -> None:
    """Nothing is done to the disk; the fault is the process's own."""


def _limited(needed: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (needed // 2, needed // 2))


def _as_nobody(needed: int) -> None:
    """As a user who may write nowhere; one who may read everything, for Python itself may lie in root's home."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    header, kept = struct.pack("=Ii", LINUX_CAPABILITY_VERSION_3, 0), struct.pack("=6I", READ, READ, 0, 0, 0, 0)
    libc.capset(header, kept)


def _unlimited(needed: int) -> None:
    """The fault is the disk's."""


FAULTS: Mapping[str, tuple[Callable[[Path, int], None], Callable[[int], None]]] = {
    **{f"full but for {share:.0%} of the file": (partial(_full, share=share), _unlimited) for share in SHARES},
    "full but for all of the file except a page": (partial(_full, share=None), _unlimited),
    "no inodes": (_without_inodes, _unlimited),
    "read-only": (_read_only, _unlimited),
    "a limit on file sizes": (_as_it_is, _limited),
    "no permission": (_as_it_is, _as_nobody),
}


def trials(world: World, size: Size) -> Iterator[Trial]:
    """Every fault for every kind of file, and for the lease; for every kind of job one, in the full size all."""
    for fault in FAULTS:
        for name, kind in KINDS.items():
            yield Trial(fault, f"writing {name}", partial(_file, world, kind, fault))
        if not fault.startswith("full") or fault == next(iter(FAULTS)):  # its record fits into a page
            yield Trial(fault, "taking a lease", partial(_lease, world, fault))
    for place, (name, commands) in enumerate(world.commands.items()):
        faults = list(FAULTS) if size.full else [list(FAULTS)[(place + size.seed) % len(FAULTS)]]
        for fault in faults:
            yield Trial(fault, f"the command of {name}", partial(_stage, world, commands[0], fault))


@contextlib.contextmanager
def _disk(world: World) -> Iterator[Path]:
    """A file system of its own in memory, of DISK bytes and few inodes; SkippedError where none can be mounted."""
    with TemporaryDirectory(dir=world.scratch) as name:
        Path(name).chmod(0o755)
        options = f"size={DISK},nr_inodes=2000,mode=755"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", name], capture_output=True, text=True, check=False
        )
        if os.geteuid() or done.returncode:
            raise SkippedError(f"no file system can be mounted here ({done.stderr.strip() or 'root alone may'})")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def _file(world: World, kind: Kind, fault: str) -> None:
    """Write a file over an older version of it."""
    spoil, suffer = FAULTS[fault]
    with _disk(world) as disk:
        path = disk / "file"
        kind.write(path, 0)
        before = _files(disk)
        spoil(disk, path.stat().st_size)

        def work() -> None:
            suffer(path.stat().st_size)
            with one_line_errors():
                kind.write(path, 1)

        _check(forked(work, disk), disk, before)


def _lease(world: World, fault: str) -> None:
    """Take a lease, whose record is some 200 bytes."""
    spoil, suffer = FAULTS[fault]
    with _disk(world) as disk:
        spoil(disk, 200)

        def work() -> None:
            suffer(200)
            with one_line_errors(), leased(disk / "run"):
                pass

        _check(forked(work, disk), disk, {})


def _stage(world: World, command: Command, fault: str) -> None:
    """Run a job whose outputs and saved states go to that disk."""
    spoil, suffer = FAULTS[fault]
    with world.without(command) as folder, _disk(world) as disk:
        largest = max(
            (world.project.root / path).stat().st_size
            for path in command.files
            if (world.project.root / path).is_file()
        )
        with contextlib.chdir(folder):
            shutil.copytree("results", disk / "results", copy_function=_linked)
        os.rename(folder / "results", folder / "inputs")
        (folder / "results").symlink_to(disk / "results")
        spoil(disk, largest)

        def work() -> None:
            suffer(largest)
            command.run()

        ended = forked(work, folder)
        _check(ended, disk, {})
        if there := [path for path in command.files if (folder / path).is_file()]:
            raise NotHeldError(f"{', '.join(there)} is there though the job failed")


def _linked(source: str, target: str) -> None:
    """A link to a file of the folder that `results` was in."""
    os.symlink(Path(source).absolute().as_posix().replace("/results/", "/inputs/", 1), target)


def _files(disk: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in disk.iterdir() if path.is_file()}


def _check(ended: Ended, disk: Path, before: Mapping[str, bytes]) -> None:
    """NotHeldError unless it ended with one line and left the files as they were."""
    said = [line for line in ended.said.splitlines() if line.startswith("error: ")]
    if ended.status != 1 or len(said) != 1 or "Traceback" in ended.said:
        raise NotHeldError(f"status {ended.status}, said: {ended.last or 'nothing'}")
    kept = {name: content for name, content in _files(disk).items() if not name.startswith((".ballast", ".many"))}
    if before and kept != before:
        raise NotHeldError(f"the files are other ones than before: {', '.join(kept)}")


ROW = Row("unwritable", "disk full, read-only, no inodes, size limit, no permission: every writer", trials)
