"""Hostile image files."""

import struct
import zlib
from collections import Counter
from pathlib import Path

from stages.data.pixels import decode_image
from tests.faults.packed import zlib_stream
from tests.faults.untrusted import Hostile, written

PNG = b"\x89PNG\r\n\x1a\n"


def decoded(path: Path) -> object:
    """As a folder's images are."""
    return decode_image(path.read_bytes(), str(path), Counter())


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, *more: bytes) -> bytes:
    """A PNG of that size, RGB, whose pixels are missing but for the first."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return PNG + header + b"".join(more) + chunk(b"IDAT", zlib.compress(bytes(4))) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    """The headers of a BMP of that size."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 100, 0, 0, 54) + head + bytes(100)


def image(name: str, content: bytes, *said: str, ending: str = "png") -> Hostile:
    """An image of these bytes."""
    return Hostile(f"image: {name}", written(content, f"image.{ending}"), decoded, said=said)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(canary) (w) file\n"
HOSTILE = (
    image("a PNG of 13,000 x 13,000", png(13_000, 13_000), "169,000,000 pixels", "LSP_CEILINGS=3"),
    image("a PNG of 2^31 x 2^31", png(2**31 - 1, 2**31 - 1), "pixels"),
    image("a PNG of no width", png(0, 9), "not a readable image"),
    image("a PNG with 1 GB of text", png(9, 9, chunk(b"zTXt", b"a\0\0" + zlib_stream(b""))), "not a readable image"),
    image("a PNG without pixels", png(9, 9), "not a readable image"),
    image("a GIF of 65,535 x 65,535", b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(3), ending="gif"),
    image("a BMP of 60,000 x 60,000", bmp(60_000, 60_000), "3,600,000,000 pixels", ending="bmp"),
    image("a BMP of no height", bmp(60_000, 0), ending="bmp"),
    image("a PPM of 10^6 x 10^6", b"P6 1000000 1000000 255\n", "pixels", ending="ppm"),
    image("a program of PostScript", POSTSCRIPT, "none of JPEG"),
    image("nothing", b"", "it is empty"),
    image("a web page", b"<!DOCTYPE html>", "none of JPEG"),
)
