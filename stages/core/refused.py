"""What the operating system refuses, as one line: the file, what is wrong, and the cure."""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from stages.core.errors import StageError

ALLOW = "permission denied; allow it, or run in a folder of your own"
CURES: Mapping[int, str] = {
    errno.ENOSPC: "no space left on the device, or no inode; free some (`df -h`, `df -i`) and run again",
    errno.EDQUOT: "your quota leaves no space on the device; free some and run again",
    errno.EROFS: "the file system is read-only; mount it for writing, or run in another folder",
    errno.EACCES: ALLOW,
    errno.EPERM: ALLOW,
    errno.EFBIG: "files may not become this large here; raise the limit (`ulimit -f`) and run again",
    errno.EMFILE: "too many files are open; raise the limit (`ulimit -n`) and run again",
    errno.ENFILE: "too many files are open on this machine; end other programs and run again",
    errno.ENAMETOOLONG: "its name is too long for the file system; use a shorter one, or run in another folder",
    errno.ENOTDIR: "a part of its path is a file and no folder; give another path",
    errno.EEXIST: "something else is in its place; give another path",
    errno.EISDIR: "is a folder, where a file is needed; give another path",
    errno.ENOENT: "no such file or folder; look at the path",
    errno.ELOOP: "its links lead in a circle; mend them",
    errno.EIO: "the device failed to read or write; look at the system's log (`dmesg`), and run again",
    errno.ESTALE: "the file system of another machine lost it; run again",
}


def refused(error: OSError, path: Path | None = None) -> StageError:
    """The error in one line, about `path` or else the file that it names itself."""
    named = path if path is not None else error.filename
    what = CURES.get(error.errno or 0, f"{error.strerror or error}; mend that and run again")
    return StageError(what if named is None else f"{os.fsdecode(named) if isinstance(named, bytes) else named}: {what}")


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within, what the system refuses is a StageError about `path`."""
    try:
        yield
    except OSError as error:
        raise refused(error, path) from error


def one_line(error: BaseException) -> str:
    """An error's text in one line, whatever a file's name or a library's message holds."""
    return " ".join(str(error).splitlines())
