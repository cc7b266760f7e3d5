"""Official archives: fetched once, verified every time, and unpacked only within their own folder.

What is read is what the checksum covers: tars are unpacked anew beside the archive for each run and removed after.
"""

import contextlib
import gzip
import logging
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import pooch

from stages.core.ceilings import LEVELS, MEMBERS, in_sips, require_below, unpacked_ceiling
from stages.core.errors import ArtifactError, DownloadError
from stages.core.job.progress import SECONDS_BETWEEN_LINES, log_line
from stages.core.refused import CURES, naming, refused

RETRIES = 3
TIMEOUT = 60.0  # seconds without an answer
CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Archive:
    """An official file: its name, its address, the MD5 its readers have always checked it by, and its size in bytes."""

    name: str
    url: str
    md5: str
    size: int | None = None


class _Lines:
    """The progress of a download in a log, with the methods pooch calls on a bar: a line now and then, in MB."""

    def __init__(self, name: str) -> None:
        self.name, self.total, self.done, self.spoken = name, 0, 0, time.monotonic()

    def update(self, count: int) -> None:
        self.done += count
        if time.monotonic() - self.spoken >= SECONDS_BETWEEN_LINES:
            self.spoken = time.monotonic()
            log_line(f"{self.name}: {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB")

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


def fetch(archive: Archive, downloads: Path) -> Path:
    """The verified archive below `downloads`, downloaded if it is absent or differs from its MD5.

    Raises DownloadError if it cannot be had or differs from its checksum.
    """
    logging.getLogger("pooch").setLevel(logging.WARNING)
    pup = pooch.create(
        path=downloads,
        base_url="",
        registry={archive.name: f"md5:{archive.md5}"},
        urls={archive.name: archive.url},
        retry_if_failed=RETRIES,
    )
    try:
        pup.fetch(archive.name, downloader=_HttpDownloader(archive))
    except (OSError, ValueError) as error:  # ValueError: pooch's word for a wrong checksum
        if isinstance(error, OSError) and error.errno in CURES:
            raise refused(error, downloads) from error
        reason = " ".join(str(error).split())
        raise DownloadError(
            f"{archive.name}: cannot be had from {archive.url} ({reason}); look at the network, or set `folder` to"
            " where the files are"
        ) from error
    return downloads / archive.name


@contextlib.contextmanager
def downloaded(archives: Sequence[Archive], downloads: Path) -> Iterator[Path]:
    """Yield a folder with the verified archives' content: tars unpacked, other files as they are."""
    with naming(downloads):
        downloads.mkdir(parents=True, exist_ok=True)
    paths = [fetch(archive, downloads) for archive in archives]
    tars = [path for path in paths if path.name.endswith((".tar.gz", ".tgz", ".tar"))]
    if not tars:
        yield downloads
        return
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=downloads) as unpacked:
        for path in tars:
            unpack(path, Path(unpacked))
        yield Path(unpacked)


def unpack(path: Path, folder: Path) -> None:
    """Unpack a tar below `folder` through tarfile's data filter (PEP 706).

    Raises ArtifactError for a damaged tar, for a member that would land or link outside the folder, and for one that
    unpacks to much more than it is.
    """
    log_line(f"{path.name}: unpacking")
    most, unpacked = unpacked_ceiling(path.stat().st_size), 0
    try:
        with (
            cast(BinaryIO, gzip.open(path) if path.name.endswith("gz") else path.open("rb")) as stream,
            tarfile.open(fileobj=in_sips(stream, path), mode="r:") as tar,
        ):
            for count, member in enumerate(tar, 1):
                unpacked += member.size
                require_below(unpacked, most, f"{path}: unpacked", "bytes")
                require_below(count, MEMBERS, f"{path}: unpacked", "members")
                require_below(len(PurePosixPath(member.name).parts), LEVELS, f"{path}: unpacked", "levels of folders")
                tar.extract(member, folder, filter="data")
    except tarfile.FilterError as error:
        raise ArtifactError(f"{path}: a member leaves the folder ({error}); do not use this file") from error
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error, RecursionError) as error:
        if isinstance(error, OSError) and error.errno in CURES:
            raise refused(error, folder) from error
        raise ArtifactError(
            f"{path}: not a readable tar ({error}); move it away and run again, to download it anew"
        ) from error


@dataclass(frozen=True)
class _HttpDownloader:
    """A pooch downloader with a bar of its own for each attempt: tqdm's on a terminal, lines in a log."""

    archive: Archive

    def __call__(self, url: str, output_file: Any, caller: Any) -> None:
        log_line(f"fetching {url}")
        bar = True if sys.stderr.isatty() else _Lines(self.archive.name)
        with open(output_file, "wb") as stream:
            writing = _Bounded(stream, self.archive)
            pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=TIMEOUT)(url, writing, caller)


class _Bounded:
    """A file that takes no more than an archive's size: a server that never ends would fill the disk."""

    def __init__(self, stream: BinaryIO, archive: Archive) -> None:
        self._stream, self._archive, self._taken = stream, archive, 0

    def write(self, chunk: bytes) -> int:
        """As a stream's own; DownloadError for a byte too many."""
        self._taken += len(chunk)
        if self._archive.size is not None and self._taken > self._archive.size:
            raise DownloadError(
                f"{self._archive.name}: {self._archive.url} sends more than its {self._archive.size:,} bytes, so it is"
                " another file; set `folder` to where the files are"
            )
        return self._stream.write(chunk)

    def flush(self) -> None:
        """As a stream's own."""
        self._stream.flush()
