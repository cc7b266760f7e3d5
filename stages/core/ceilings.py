"""Ceilings on what a file may become: a small one that would unpack to gigabytes is refused before it does.

They lie far above what data sets, checkpoints and configs are. `LSP_CEILINGS=4` in the environment raises them all
fourfold; as no result hangs on them, they are no setting of an experiment.
"""

import contextlib
import math
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, cast

from stages.core.errors import ArtifactError, StageError

VARIABLE = "LSP_CEILINGS"
AT_ONCE = 2**25  # bytes that are held at once: an image file, a member of a zip, the directory of an archive, a JSON
UNPACKED, RATIO = 2**26, 8  # bytes that an archive may unpack to in any case, and times its size
TABLE_RATIO = 100  # times the size of a Parquet file, which repeats values at no cost
PIXELS = 2**26  # of an image
MEMBERS = 5_000  # of a tar
LEVELS = 32  # of folders in one another


def factor() -> float:
    """What the environment raises the ceilings by."""
    text = os.environ.get(VARIABLE, "1")
    with contextlib.suppress(ValueError):
        if 1 <= float(text) < math.inf:
            return float(text)
    raise StageError(f"{VARIABLE}: '{text}' is no factor of 1 or more; unset it, or write 4, say")


def require_below(size: float, ceiling: float, what: str, unit: str, kind: type[StageError] = ArtifactError) -> None:
    """An error unless `what`, which is of that size, is below a ceiling."""
    if size > ceiling * factor():
        raise kind(
            f"{what}: {size:,.0f} {unit}, and the ceiling is {ceiling * factor():,.0f}; if that is meant, set"
            f" {VARIABLE}={math.ceil(size / ceiling)} and run again, else get another file"
        )


def read_below(path: Path, ceiling: int = AT_ONCE, kind: type[StageError] = ArtifactError) -> bytes:
    """A file's bytes; refused where they are more than the ceiling, without holding them."""
    with path.open("rb") as stream:
        require_below(os.fstat(stream.fileno()).st_size, ceiling, str(path), "bytes", kind)
        content = stream.read(int(ceiling * factor()) + 1)  # of a device or a pipe the size is not known before
    require_below(len(content), ceiling, str(path), "bytes", kind)
    return content


def unpacked_ceiling(packed: int) -> int:
    """Bytes that an archive of `packed` bytes may unpack to."""
    return max(UNPACKED, RATIO * packed)


def require_plain_zip(path: Path) -> None:
    """ArtifactError for a checkpoint's zip that would unpack to much more than it is; other files are let pass."""
    with contextlib.suppress(zipfile.BadZipFile), path.open("rb") as stream:
        with zipfile.ZipFile(in_sips(stream, path)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        require_below(unpacked, unpacked_ceiling(path.stat().st_size), f"{path}: unpacked", "bytes")


def in_sips(stream: BinaryIO, path: Path) -> BinaryIO:
    """The stream of a file, which refuses to give more than AT_ONCE at once.

    Readers of archives take a header or a directory by one read of the size that the archive tells.
    """
    return cast(BinaryIO, _Sips(stream, path))


class _Sips:
    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path = stream, path

    def read(self, size: int = -1) -> bytes:
        self._require(size)
        content = self._stream.read(size if size >= 0 else int(AT_ONCE * factor()) + 1)
        self._require(len(content))
        return content

    def _require(self, size: int) -> None:
        require_below(size, AT_ONCE, f"{self._path}: a header or directory in it", "bytes")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
