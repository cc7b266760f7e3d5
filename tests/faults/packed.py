"""Archives written by hand, so that a gigabyte of zeros costs no time: what compresses them is one block, repeated."""

import io
import struct
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path

AT_ONCE = 2**24
GIB = 2**30


def deflated(start: bytes, repeated: bytes = bytes(AT_ONCE), times: int = GIB // AT_ONCE) -> bytes:
    """A raw deflate stream of `start` and then `repeated` so many times."""
    packing = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    head = packing.compress(start) + packing.flush(zlib.Z_FULL_FLUSH)
    block = packing.compress(repeated) + packing.flush(zlib.Z_FULL_FLUSH)
    return head + block * times + packing.flush()


def zlib_stream(*arguments: bytes | int) -> bytes:
    """The same with zlib's header; the checksum at its end is wrong."""
    return b"\x78\xda" + deflated(*arguments) + bytes(4)  # type: ignore[arg-type]


def gzipped(path: Path, content: bytes) -> Path:
    """A .gz of a raw deflate stream; the checksum at its end is wrong."""
    path.write_bytes(b"\x1f\x8b\x08" + bytes(6) + b"\xff" + content + bytes(8))
    return path


def tar_header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A member's header, of one block."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def tar_of(path: Path, names: Iterable[str], kind: bytes = tarfile.REGTYPE, link: str = "") -> Path:
    """A tar of empty members."""
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            tar.addfile(member, io.BytesIO())
    return path


def zip_of(path: Path, name: str, packed: bytes, size: int, method: int = 8, flags: int = 0) -> Path:
    """A zip of one member whose directory says that it unpacks to `size` bytes."""
    shared = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 33, 0, len(packed), size, len(name), 0)
    local = b"PK\x03\x04" + shared + name.encode()
    central = b"PK\x01\x02" + struct.pack("<H", 20) + shared + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name.encode()
    path.write_bytes(local + packed + central + end_of_zip(1, len(central), len(local + packed)))
    return path


def end_of_zip(members: int, size: int, offset: int) -> bytes:
    """What a zip ends with: how many members its directory has, its size in bytes and where it begins."""
    return b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, members % 2**16, members % 2**16, size, offset, 0)


def mat_of(path: Path, columns: int) -> Path:
    """A MATLAB 5 file of a compressed X, uint8 (32, 32, 3, columns) of zeros."""
    size = 32 * 32 * 3 * columns
    parts = struct.pack("<IIII", 6, 8, 9, 0) + struct.pack("<II4i", 5, 16, 32, 32, 3, columns)
    parts += struct.pack("<II", 1, 1) + b"X" + bytes(7) + struct.pack("<II", 2, size)
    matrix = struct.pack("<II", 14, len(parts) + size) + parts
    content = zlib_stream(matrix, bytes(AT_ONCE), -(-size // AT_ONCE))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    path.write_bytes(header + struct.pack("<II", 15, len(content)) + content)
    return path
