"""Image files as they come: turned, animated, deep, in odd modes; the same by every source that decodes files."""

import io
import json
import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stages.core.artifacts import read_images
from stages.core.errors import ArtifactError
from stages.data.__main__ import main
from stages.data.pixels import ANIMATIONS, ORIENTED, decode_image

LOSSLESS = ("PNG", "WEBP", "TIFF")
UPRIGHT = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def stored_as(orientation: int, upright: np.ndarray) -> np.ndarray:
    """The pixels that a file of this EXIF orientation holds, from CIPA DC-008's words.

    They say which side of the scene row 0 and column 0 are: 1 top left, 2 top right, 3 bottom right, 4 bottom left,
    5 left top, 6 right top, 7 right bottom, 8 left bottom.
    """
    height, width = upright.shape[:2]
    lies = orientation > 4
    stored = np.empty((width, height, 3) if lies else upright.shape, np.uint8)
    for row, column in np.ndindex(*stored.shape[:2]):
        down, right = (column, row) if lies else (row, column)
        down = height - 1 - down if orientation in (3, 4, 7, 8) else down
        right = width - 1 - right if orientation in (2, 3, 6, 7) else right
        stored[row, column] = upright[down, right]
    return stored


def file_of(*images: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """One image as a file, or several as the frames of one."""
    stream = io.BytesIO()
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    if kind == "WEBP":
        options |= {"lossless": True}
    images[0].save(stream, kind, **options)
    return stream.getvalue()


def oriented_file(orientation: int, kind: str, upright: np.ndarray = UPRIGHT) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return file_of(Image.fromarray(stored_as(orientation, upright)), kind=kind, exif=exif)


def deep_png(color: int, channels: int) -> bytes:
    """A 2x2 PNG of 16 bits a channel, written by hand: Pillow writes none in color."""
    rows = b"".join(b"\0" + np.full((2, channels), 0x1280, ">u2").tobytes() for _ in range(2))
    header = struct.pack(">IIBBBBB", 2, 2, 16, color, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def deep_tiff(channels: int, ink: int, planes: bool = False) -> bytes:
    """A 2x2 TIFF of 16 bits a channel, little-endian, uncompressed. ink: 1 gray, 2 RGB, 5 CMYK."""
    strips, after = (channels if planes else 1), 8 + 2 + 9 * 12 + 4
    size = 2 * 2 * 2 * channels // strips
    pixels = after + 64  # room for the lists
    starts, sizes = [pixels + size * strip for strip in range(strips)], [size] * strips
    extra, fields = b"", b""
    for tag, values in (
        (256, [2]),
        (257, [2]),
        (258, [16] * channels),
        (259, [1]),
        (262, [ink]),
        (273, starts),
        (277, [channels]),
        (279, sizes),
        (284, [2 if planes else 1]),
    ):
        packed = struct.pack(f"<{len(values)}H", *values)
        if len(packed) > 4:
            fields += struct.pack("<HHII", tag, 3, len(values), after + len(extra))
            extra += packed
        else:
            fields += struct.pack("<HHI", tag, 3, len(values)) + packed.ljust(4, b"\0")
    body = np.full(2 * 2 * channels, 0x1280, "<u2").tobytes()
    return (b"II*\0" + struct.pack("<IH", 8, 9) + fields + bytes(4) + extra).ljust(starts[0], b"\0") + body


DEEP = {
    "gray.png": deep_png(0, 1),
    "color.png": deep_png(2, 3),
    "gray-alpha.png": deep_png(4, 2),
    "color-alpha.png": deep_png(6, 4),
    "color.ppm": b"P6\n2 2\n65535\n" + bytes(24),
    "color-1000.ppm": b"P6\n2 2\n1000\n" + bytes(24),
    "color-plain.ppm": b"P3\n1 1\n1000\n1 2 3\n",
    "gray.pgm": b"P5\n2 2\n65535\n" + bytes(8),
    "gray.tiff": deep_tiff(1, 1),
    "color.tiff": deep_tiff(3, 2),
    "cmyk.tiff": deep_tiff(4, 5),
    "planes.tiff": deep_tiff(3, 2, planes=True),
}


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_stands_upright_whatever_its_orientation_and_is_counted(kind: str, orientation: int) -> None:
    noted: Counter[str] = Counter()
    np.testing.assert_array_equal(decode_image(oriented_file(orientation, kind), "x", noted), UPRIGHT)
    assert (noted[ORIENTED], noted[ANIMATIONS]) == (orientation != 1, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_stands_upright_too(orientation: int) -> None:
    scene = (np.arange(6, dtype=np.uint8) * 50).reshape(2, 3).repeat(16, 0).repeat(16, 1)[..., None].repeat(3, 2)
    found = decode_image(oriented_file(orientation, "JPEG", scene), "x", Counter())
    assert np.abs(found.astype(int) - scene).max() < 8


@pytest.mark.parametrize("kind", ["JPEG", *LOSSLESS])
@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_means_nothing_changes_nothing(kind: str, orientation: int) -> None:
    exif, noted = Image.Exif(), Counter[str]()
    exif[274] = orientation
    plain = file_of(Image.fromarray(UPRIGHT), kind=kind)
    marked = file_of(Image.fromarray(UPRIGHT), kind=kind, exif=exif)
    np.testing.assert_array_equal(decode_image(marked, "x", noted), decode_image(plain, "x", Counter()))
    assert not noted[ORIENTED]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\x05\0", b"x"])
def test_exif_that_cannot_be_read_leaves_the_pixels_as_they_are(exif: bytes) -> None:
    plain = file_of(Image.fromarray(UPRIGHT), kind="JPEG")
    marked = file_of(Image.fromarray(UPRIGHT), kind="JPEG", exif=exif)
    np.testing.assert_array_equal(decode_image(marked, "x", Counter()), decode_image(plain, "x", Counter()))


@pytest.mark.parametrize("name", list(DEEP))
def test_more_than_eight_bits_a_channel_is_refused_in_gray_and_in_color(name: str) -> None:
    with Image.open(io.BytesIO(DEEP[name])) as readable:
        readable.load()
    with pytest.raises(ArtifactError, match=f"{name}: more than 8 bits a channel"):
        decode_image(DEEP[name], name, Counter())


def test_eight_bits_or_fewer_a_channel_are_not_taken_for_more() -> None:
    tried = 0
    for mode in ("RGB", "L", "1", "P", "CMYK", "RGBA", "LA", "YCbCr"):
        for kind in ("PNG", "TIFF", "PPM", "BMP", "GIF", "WEBP", "JPEG"):
            try:
                encoded = file_of(Image.fromarray(UPRIGHT).convert(mode), kind=kind)
            except (OSError, ValueError):
                continue  # the format cannot hold this mode
            tried += 1
            assert decode_image(encoded, "x", Counter()).shape == UPRIGHT.shape
    assert tried > 30
    for small in (b"P6\n2 2\n100\n" + bytes(12), b"P5\n2 2\n255\n" + bytes(4)):
        assert decode_image(small, "x", Counter()).shape == (2, 2, 3)


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True}])
def test_progressive_and_other_jpegs_decode_as_pillow_does(options: dict[str, Any]) -> None:
    encoded = file_of(Image.fromarray(UPRIGHT), kind="JPEG", **options)
    np.testing.assert_array_equal(decode_image(encoded, "x", Counter()), np.asarray(Image.open(io.BytesIO(encoded))))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_the_first_of_several_frames_is_taken_counted_and_said_once(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (60, 120, 250)]
    noted: Counter[str] = Counter()
    for name in ("first", "second"):
        assert bool((decode_image(file_of(*frames, kind=kind), name, noted) == 60).all())
    assert noted[ANIMATIONS] == 2
    said = capsys.readouterr().err
    assert "first: holds several frames; the first is taken" in said
    assert "second" not in said


def test_an_empty_file_and_one_of_another_format_say_so() -> None:
    with pytest.raises(ArtifactError, match=r"x: not a readable image \(it is empty"):
        decode_image(b"", "x", Counter())
    with pytest.raises(ArtifactError, match=r"x: not a readable image \(none of JPEG, PNG"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0", "x", Counter())


def write_source(folder: Path, source: str, encoded: list[bytes]) -> None:
    """Two classes, and the images twice: as the training and as the test split."""
    classes = ["ab"[row % 2] for row in range(len(encoded))]
    if source == "image-folder":
        for split in ("train", "test"):
            for row, image in enumerate(encoded):
                path = folder / split / classes[row] / f"{row:02}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(image)
    elif source == "parquet":
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        column = pa.array([{"bytes": image} for image in encoded], kind)
        table = pa.table({"image": column, "label": [row % 2 for row in range(len(encoded))]})
        for split in ("train", "test"):
            pq.write_table(table, folder / f"{split}.parquet")
    else:
        with zipfile.ZipFile(folder / "tiny-imagenet-200.zip", "w") as archive:
            top = "tiny-imagenet-200"
            archive.writestr(f"{top}/wnids.txt", "a\nb\n")
            for row, image in enumerate(encoded):
                archive.writestr(f"{top}/train/{classes[row]}/images/{row}.JPEG", image)
                archive.writestr(f"{top}/val/images/{row}.JPEG", image)
            lines = [f"{row}.JPEG\t{name}\n" for row, name in enumerate(classes)]
            archive.writestr(f"{top}/val/val_annotations.txt", "".join(lines))


@pytest.mark.parametrize("source", ["image-folder", "parquet", "tiny-imagenet"])
def test_the_manifest_counts_turned_and_animated_images_and_names_the_classes(tmp_path: Path, source: str) -> None:
    encoded = [oriented_file(orientation, "PNG") for orientation in range(1, 9)]
    write_source(tmp_path, source, [*encoded, file_of(Image.fromarray(UPRIGHT), Image.fromarray(255 - UPRIGHT))])
    outputs = [part for name in ("train", "test") for part in (f"--{name}", str(tmp_path / f"{name}.safetensors"))]
    places = ["--downloads", str(tmp_path / "downloads"), "--manifest", str(tmp_path / "manifest.json")]
    main(["--settings", json.dumps({"source": source, "folder": str(tmp_path)}), *outputs, *places])
    facts = json.loads((tmp_path / "manifest.json").read_text())["facts"]
    for split in ("train", "test"):
        assert (facts[split]["oriented"], facts[split]["animations"]) == (7, 1)
        images = read_images(tmp_path / f"{split}.safetensors").images.permute(0, 2, 3, 1)
        assert all(np.array_equal(image, UPRIGHT) for image in images)
    assert facts["classes"] == (["0", "1"] if source == "parquet" else ["a", "b"])
