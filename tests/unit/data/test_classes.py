"""Which classes a data set has: one rule, whatever source its labels come by."""

import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from stages.core.artifacts import ImageSet
from stages.core.config.data import Data
from stages.core.errors import ArtifactError
from stages.data.catalog import open_data_set
from stages.data.classes import settled
from stages.data.decode import decode
from stages.data.records import DataSet, from_array, whole_numbers
from stages.data.sources import cifar10, stl10, svhn, tiny_imagenet
from tests.unit.data.source_files import (
    CLASSES,
    Labels,
    pictures,
    write_cifar10,
    write_image_folder,
    write_parquet,
    write_stl10,
    write_svhn,
    write_tiny_imagenet,
)

SOURCES = ("cifar10", "svhn", "stl10", "tiny-imagenet", "image-folder", "parquet")


def data_set(train: list[int], test: list[int], names: tuple[str, ...] = ()) -> DataSet:
    parts = (
        from_array(np.zeros((len(labels), 2, 2, 3), np.uint8), np.array(labels, np.int64), name)
        for name, labels in (("train", train), ("test", test))
    )
    return DataSet(names, *parts)


def decoded(place: Path, source: str, train: Labels, test: Labels) -> dict[str, ImageSet]:
    """What becomes of images with these labels, 0 to 9, that come by a source."""
    folder, side = place / source, 96 if source == "stl10" else 32
    folder.mkdir(parents=True)
    images, labels = (pictures(0, len(train), side), pictures(1, len(test), side)), (train, test)
    match source:
        case "cifar10":
            write_cifar10(folder, *images, labels=labels)
        case "svhn":
            write_svhn(folder, *images, labels)
        case "stl10":
            write_stl10(folder, *images, images[0][:1], labels)
        case "tiny-imagenet":
            write_tiny_imagenet(folder / "tiny-imagenet-200.zip", *images, labels)
        case "image-folder":
            write_image_folder(folder, *images, labels)
        case "parquet":
            write_parquet(folder, *images, labels)
    settings = Data(source=source, folder=str(folder))
    with open_data_set(settings, place / "downloads") as data:
        return decode(data, settings)


@pytest.mark.parametrize("source", SOURCES)
def test_a_class_without_images_is_left_out_and_the_others_keep_their_names(tmp_path: Path, source: str) -> None:
    found = decoded(tmp_path, source, np.array([1, 1, 2, 4, 7, 8]), np.array([1, 4, 8]))
    assert found["train"].labels.tolist() == [0, 0, 1, 2, 3, 4]
    assert found["test"].labels.tolist() == [0, 2, 4]
    assert [name[-1] for name in found["train"].classes] == ["1", "2", "4", "7", "8"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("train", "test", "told"),
    [([3, 3, 3, 3, 3], [3], "every image is of the class "), ([1, 2, 1, 2, 1], [2, 5], "no training image is of its ")],
)
def test_a_single_class_and_one_only_in_the_test_images_are_refused_in_one_line(
    tmp_path: Path, source: str, train: list[int], test: list[int], told: str
) -> None:
    with pytest.raises(ArtifactError, match=told) as caught:
        decoded(tmp_path, source, np.array(train), np.array(test))
    assert "\n" not in str(caught.value)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=30).filter(lambda labels: len(set(labels)) > 1))
def test_without_names_any_labels_become_places_in_their_order_and_stay_as_names(labels: list[int]) -> None:
    data = settled(data_set(labels, labels[:3]))
    assert [int(data.classes[label]) for label in data.train.labels] == labels
    assert [int(data.classes[label]) for label in data.test.labels] == labels[:3]
    assert sorted(set(data.train.labels.tolist())) == list(range(len(data.classes)))
    assert sorted(map(int, data.classes)) == list(map(int, data.classes))


def test_labels_that_count_from_0_with_a_name_each_stay_as_they_are_without_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = [2, 0, 1, 1]
    for names in ((), ("polar bear", "cat", "dog")):
        data = settled(data_set(labels, [1], names))
        assert data.train.labels.tolist() == labels
        assert data.classes == (names or ("0", "1", "2"))
    assert settled(data).classes == data.classes
    assert capsys.readouterr().err == ""


def test_what_becomes_of_labels_and_names_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    settled(data_set(list(range(1, 11)), [1]))
    assert "the labels 1, 2, 3, 4, 5, ... (10 in all) become 0 to 9" in capsys.readouterr().err
    settled(data_set([0, 1], [1], ("ant", "bee", "cow", "doe")))
    assert "2 of 4 names have no training image and are left out: 'cow', 'doe'" in capsys.readouterr().err


@pytest.mark.parametrize("names", [("crane", "cat", "crane"), ("", "cat", "dog"), ("a", "a", "a (1)")])
def test_names_that_tell_no_class_apart_are_given_with_the_labels(names: tuple[str, ...]) -> None:
    found = settled(data_set([0, 1, 2], [0], names)).classes
    assert found == tuple(f"{name} ({label})" for label, name in enumerate(names))


@pytest.mark.parametrize(
    ("train", "test", "names", "told"),
    [
        ([1, 2, 10], [1], CLASSES, r"train, row 2: label 10, and labels must lie in \[0, 10\) for 10 class names"),
        ([0, 1], [1, 2], ("a", "b"), r"test, row 1: label 2, and labels must lie in \[0, 2\)"),
        ([-1, 1], [1], (), "train, row 0: label -1, and labels must be 0 or more"),
        ([0, 1], [-1], ("a", "b"), r"test, row 0: label -1, and labels must lie in \[0, 2\)"),
        ([], [0], (), "train: no images"),
        ([0, 1], [], ("a", "b"), "test: no images"),
        ([5, 10**9], [7], (), "test, row 0: no training image is of its class 7"),
    ],
)
def test_labels_that_no_rule_can_place_are_refused_in_one_line_that_names_the_row(
    train: list[int], test: list[int], names: tuple[str, ...], told: str
) -> None:
    with pytest.raises(ArtifactError, match=told) as caught:
        settled(data_set(train, test, names))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "spelled", [[1, 0, 3], np.array([1.0, 0.0, 3.0]), np.array([1, 0, 3], np.uint8), np.array([1, 0, 3], ">i2")]
)
def test_whole_numbers_are_labels_however_they_are_spelled(spelled: Any) -> None:
    assert whole_numbers(spelled, "file").tolist() == [1, 0, 3]


@pytest.mark.parametrize(
    "spelled",
    [
        [0, 1.5],
        [0.0, float("nan")],
        [0.0, float("inf")],
        [0.0, 2.0**63],
        np.array([0, 2**64 - 1], np.uint64),
        [1, "a"],
        ["1", "2"],
        [None, 1],
        [True, False],
        [[1], [2, 3]],
        [[1, 2]],
        "12",
        10**30,
        {"a": 1},
    ],
)
def test_anything_else_is_no_label_and_refused_in_one_line(spelled: Any) -> None:
    with pytest.raises(ArtifactError, match="file") as caught:
        whole_numbers(spelled, "file")
    assert "\n" not in str(caught.value)


def test_svhn_takes_matlabs_doubles_and_refuses_fractions_and_both_spellings_of_zero(tmp_path: Path) -> None:
    for labels, told in (([10.0, 1.0], None), ([10.0, 1.5], "row 1: label 1.5"), ([10.0, 0.0], "both 0 and 10")):
        content = {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array(labels)[:, None]}
        for name in ("train", "test"):
            scipy.io.savemat(tmp_path / f"{name}_32x32.mat", content)
        if told is None:
            assert svhn.svhn(tmp_path).train.labels.tolist() == [0, 1]
        else:
            with pytest.raises(ArtifactError, match=told):
                svhn.svhn(tmp_path)


def test_stl10_names_are_lines_and_may_hold_spaces(tmp_path: Path) -> None:
    large = pictures(0, 13, 96)
    write_stl10(tmp_path, large[:10], large[10:], large[:1])
    names = tmp_path / "stl10_binary" / "class_names.txt"
    names.write_text("polar bear\r\n" + "".join(f"{name}\n" for name in CLASSES[1:]) + "\n")
    assert stl10.stl10(tmp_path).classes == ("polar bear", *CLASSES[1:])
    names.write_bytes(b"\xff\xfe")
    with pytest.raises(ArtifactError, match="not a text file"):
        stl10.stl10(tmp_path)


def test_cifar10_names_must_be_a_list_and_labels_an_image_each(tmp_path: Path) -> None:
    images = pictures(0, 10, 32), pictures(1, 3, 32)
    write_cifar10(tmp_path / "a", *images, names="0123456789")  # type: ignore[arg-type]
    assert cifar10.cifar10(tmp_path / "a").classes == CLASSES
    write_cifar10(tmp_path / "b", *images, labels=(np.arange(10), np.arange(2)))
    with pytest.raises(ArtifactError, match="test_batch: 3 images and 2 labels"):
        cifar10.cifar10(tmp_path / "b")


def test_a_wordnet_id_listed_twice_is_one_class(tmp_path: Path) -> None:
    write_tiny_imagenet(tmp_path / "tiny-imagenet-200.zip", pictures(0, 10, 8), pictures(1, 3, 8))
    with zipfile.ZipFile(tmp_path / "tiny-imagenet-200.zip") as archive:
        archive.extractall(tmp_path)
    (tmp_path / "tiny-imagenet-200.zip").unlink()
    ids = tmp_path / "tiny-imagenet-200" / "wnids.txt"
    ids.write_text(ids.read_text() * 2)
    assert len(settled(tiny_imagenet.tiny_imagenet(tmp_path)).classes) == 10


def test_a_huge_label_costs_no_memory(tmp_path: Path) -> None:
    labels = np.array([0, 10**9, 10**9, 5])
    write_parquet(tmp_path, pictures(0, 4, 8), pictures(1, 4, 8), (labels, labels))
    settings = Data(source="parquet", folder=str(tmp_path))
    tracemalloc.start()
    with open_data_set(settings, tmp_path) as data:
        found = decode(data, settings)["train"]
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    assert (found.labels.tolist(), found.classes) == ([0, 2, 2, 1], ("0", "5", "1000000000"))


def test_a_subset_that_loses_a_class_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    data = data_set(list(range(10)), [1])
    decode(data, Data(source="digits", train_images=4))
    assert "train_images: 4 leaves 6 of 10 classes without an image" in capsys.readouterr().err
