"""Hugging Face Parquet files: columns, names, grayscale, shards and damage."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stages.core.config.data import Data
from stages.core.errors import ArtifactError, ConfigError, StageError
from stages.data.decode import decode
from stages.data.sources import parquet
from tests.conftest import ROOT

CIFAR10_JPEG = Path(os.environ.get("LSP_CIFAR10_JPEG", ROOT.parent / "shared" / "data" / "cifar10-jpeg"))
SETTINGS = Data(source="parquet", folder="here")
NAMES = ["cat", "dog", "emu"]


def encoded(row: int, kind: str = "PNG", mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(row).integers(0, 256, (8, 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


def write(
    path: Path,
    images: list[bytes | None],
    labels: list[int | None],
    *,
    columns: tuple[str, str] = ("image", "label"),
    names: list[str] | None = NAMES,
    **more: list[int],
) -> None:
    """A Parquet file as the Hugging Face Hub writes it."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {
            columns[0]: pa.array([{"bytes": image, "path": None} for image in images], kind),
            columns[1]: pa.array(labels, pa.int64()),
            **more,
        }
    )
    if names is not None:
        features = {columns[0]: {"_type": "Image"}, columns[1]: {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, write_page_checksum=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "train-00000-of-00002.parquet", [encoded(0), encoded(1)], [0, 2])
    write(tmp_path / "train-00001-of-00002.parquet", [encoded(2)], [1])
    write(tmp_path / "test-00000-of-00001.parquet", [encoded(3)], [1])
    return tmp_path


def test_shards_are_read_in_order_with_the_names_of_the_schema(folder: Path) -> None:
    data = parquet.parquet(folder)
    assert (data.classes, data.train.labels.tolist()) == (tuple(NAMES), [0, 2, 1])
    for row in range(3):
        expected = np.random.default_rng(row).integers(0, 256, (8, 8, 3), np.uint8)
        np.testing.assert_array_equal(data.train.pixels(row), expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grayscale_becomes_three_equal_channels(folder: Path, kind: str) -> None:
    gray = encoded(3, kind, "L")
    write(folder / "test-00000-of-00001.parquet", [gray], [1])
    images = decode(parquet.parquet(folder), SETTINGS)["test"].images
    expected = np.asarray(Image.open(io.BytesIO(gray)))
    for channel in images[0]:
        np.testing.assert_array_equal(channel, expected)


def test_the_test_split_is_preferred_to_the_validation_split(folder: Path) -> None:
    (folder / "test-00000-of-00001.parquet").rename(folder / "validation-00000-of-00001.parquet")
    assert parquet.parquet(folder).test.labels.tolist() == [1]
    write(folder / "test-00000-of-00001.parquet", [encoded(0), encoded(1)], [0, 0])
    assert parquet.parquet(folder).test.labels.tolist() == [0, 0]


@pytest.mark.parametrize("label", ["label", "labels", "fine_label", "the_only_integer"])
def test_columns_are_detected_by_type_and_known_names(tmp_path: Path, label: str) -> None:
    more: dict[str, Any] = {} if label == "the_only_integer" else {"coarse_label": [5]}
    for split in ("train", "valid"):
        write(tmp_path / f"{split}.parquet", [encoded(0)], [2], columns=("picture", label), **more)
    assert parquet.parquet(tmp_path).test.labels.tolist() == [2]


def test_columns_that_cannot_be_told_must_be_named(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write(tmp_path / f"{split}.parquet", [encoded(0)], [2], columns=("picture", "first"), second=[1])
    with pytest.raises(ConfigError, match=r"label_column: .* name one of first, second"):
        parquet.parquet(tmp_path)
    assert parquet.parquet(tmp_path, label_column="second").train.labels.tolist() == [1]
    with pytest.raises(ConfigError, match=r"image_column: .* no column 'image'"):
        parquet.parquet(tmp_path, image_column="image", label_column="first")
    with pytest.raises(ConfigError, match="label_column: 'picture'"):
        parquet.parquet(tmp_path, label_column="picture")


def test_labels_that_are_no_numbers_of_63_bits_are_refused_in_one_line(tmp_path: Path) -> None:
    image = pa.array(
        [{"bytes": encoded(0), "path": None}] * 2, pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    for labels, told in (
        (pa.array(["cat", "dog"]), "is string; integers are needed"),
        (pa.array([0.0, 1.0]), "is double; integers are needed"),
        (pa.array([True, False]), "is bool; integers are needed"),
        (pa.array([0, 2**63], pa.uint64()), "'label' holds a number beyond"),
        (pa.array([0, 2**64 - 1], pa.uint64()), "'label' holds a number beyond"),
    ):
        for split in ("train", "test"):
            pq.write_table(pa.table({"image": image, "label": labels}), tmp_path / f"{split}.parquet")
        with pytest.raises(StageError, match=told) as caught:
            parquet.parquet(tmp_path, label_column="label")
        assert "\n" not in str(caught.value)


def test_splits_that_name_different_classes_are_refused(folder: Path) -> None:
    write(folder / "test-00000-of-00001.parquet", [encoded(3)], [1], names=["cat", "emu", "dog"])
    with pytest.raises(ArtifactError, match="different classes"):
        parquet.parquet(folder)


def test_a_missing_split_or_shard_is_an_error_that_says_so(folder: Path) -> None:
    (folder / "train-00000-of-00002.parquet").unlink()
    with pytest.raises(ArtifactError, match=r"file 0 of 2 .* of train is missing"):
        parquet.parquet(folder)
    (folder / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(ArtifactError, match=r"needs train-\*\.parquet.* it holds test-"):
        parquet.parquet(folder)


def test_a_corrupt_image_is_an_error_that_names_file_and_row(folder: Path) -> None:
    write(folder / "train-00001-of-00002.parquet", [encoded(2), encoded(2)[:50]], [1, 1])
    with pytest.raises(ArtifactError, match=r"train-00001-of-00002\.parquet, row 1: not a readable image"):
        decode(parquet.parquet(folder), SETTINGS)


def test_an_absent_image_or_label_is_an_error_that_names_its_row(folder: Path) -> None:
    write(folder / "train-00001-of-00002.parquet", [encoded(2), None], [1, 1])
    with pytest.raises(ArtifactError, match=r"00001-of-00002\.parquet, row 1: no bytes"):
        decode(parquet.parquet(folder), SETTINGS)
    write(folder / "train-00001-of-00002.parquet", [encoded(2), encoded(1)], [1, None])
    with pytest.raises(ArtifactError, match=r"00001-of-00002\.parquet, row 1: no label"):
        parquet.parquet(folder)


def test_a_truncated_file_and_a_flipped_byte_in_a_page_are_errors(folder: Path) -> None:
    path = folder / "test-00000-of-00001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match=r"test-00000-of-00001\.parquet: not a readable Parquet"):
        parquet.parquet(folder)
    place = whole.index(b"IDAT") + 20
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ArtifactError, match="not a readable Parquet"):
        parquet.parquet(folder)


@pytest.mark.skipif(not CIFAR10_JPEG.is_dir(), reason=f"CIFAR-10-JPEG is not at {CIFAR10_JPEG}; set LSP_CIFAR10_JPEG")
def test_real_cifar10_jpeg_reads_with_ten_named_classes_in_proportion() -> None:
    settings = Data(source="parquet", folder=str(CIFAR10_JPEG), train_images=500, test_images=100, image_size=16)
    data = parquet.parquet(CIFAR10_JPEG)
    assert (len(data.train.labels), len(data.test.labels)) == (50_000, 10_000)
    decoded = decode(data, settings)
    assert decoded["train"].images.shape == (500, 3, 16, 16)
    assert np.bincount(decoded["train"].labels).tolist() == [50] * 10
    assert data.classes[0] == "airplane"
    assert data.classes[9] == "truck"
