"""Files by relative name, the same below a folder and inside a zip, so that a zip is read without unpacking it."""

import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stages.core.ceilings import AT_ONCE, LEVELS, in_sips, read_below, require_below
from stages.core.errors import ArtifactError


@dataclass(frozen=True)
class Tree:
    """Names (sorted, '/' between parts) below an origin, and the bytes of each."""

    origin: str
    names: tuple[str, ...]
    read: Callable[[str], bytes]

    def where(self, name: str) -> str:
        """The file in words, for an error."""
        return f"{self.origin}/{name}"

    def text(self, name: str) -> str:
        """A file's text; ArtifactError if it is absent or not UTF-8."""
        try:
            return self.read(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise ArtifactError(f"{self.where(name)}: not a text file ({error}); get the files again") from error


def folder_tree(folder: Path) -> Tree:
    """Every file below a folder; links are followed. ArtifactError for a folder that cannot be listed."""

    def read(name: str) -> bytes:
        path = folder / name
        try:
            if path.exists() and not path.is_file():
                raise ArtifactError(f"{path}: is a device or a pipe and no file; take it out")
            return read_below(path)
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read ({error.strerror}); put the file there") from error

    return Tree(str(folder), tuple(sorted(_below(folder))), read)


def _below(folder: Path) -> Iterator[str]:
    """Names of all files; ArtifactError for what cannot be listed, is too deep, or leads back to where it is."""

    def refuse(error: OSError) -> None:
        raise ArtifactError(f"{error.filename}: cannot be listed ({error.strerror}); allow it or take it out")

    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        relative = Path(place).relative_to(folder)
        require_below(len(relative.parts), LEVELS, place, "levels of folders")
        for link in (Path(place) / name for name in folders):
            if link.is_symlink() and Path(place).resolve().is_relative_to(link.resolve()):
                raise ArtifactError(f"{link}: a link to a folder that it lies in; take it out")
        yield from ((relative / name).as_posix() for name in files)


def zip_tree(path: Path, top: str) -> Tree:
    """Every file below the folder `top` of a zip, each member's CRC verified as it is read.

    Raises ArtifactError for a file that is no zip, or that names a path outside itself: nothing is unpacked here, but
    such an archive is not what it claims to be.
    """
    try:
        archive = zipfile.ZipFile(in_sips(path.open("rb"), path))
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise ArtifactError(f"{path}: not a readable zip ({error}); get it again") from error
    for member in archive.namelist():
        if ".." in PurePosixPath(member).parts or member.startswith("/"):
            raise ArtifactError(f"{path}: the member '{member}' leaves the archive's folder; do not use this file")
    prefix = f"{top}/"
    files = (member.filename for member in archive.infolist() if not member.is_dir())
    names = sorted(name.removeprefix(prefix) for name in files if name.startswith(prefix))

    def read(name: str) -> bytes:
        try:
            member = archive.getinfo(prefix + name)
            require_below(member.file_size, AT_ONCE, f"{path}: {prefix}{name}", "bytes unpacked")
            with archive.open(member) as stream:
                return stream.read(member.file_size)  # no more, whatever it unpacks to; then its CRC is wrong
        except KeyError as error:
            raise ArtifactError(f"{path}: holds no {prefix}{name}; get the archive again") from error
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise ArtifactError(f"{path}: {prefix}{name} is damaged ({error}); get the archive again") from error

    return Tree(str(path), tuple(names), read)
