"""Every reader on small files in its source's real on-disk format."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from sklearn.datasets import load_digits

from stages.core.config.data import Data
from stages.core.errors import ArtifactError, ConfigError, StageError
from stages.data.catalog import open_data_set
from stages.data.decode import decode
from stages.data.sources import cifar10, digits, stl10, svhn, tiny_imagenet
from tests.unit.data.source_files import (
    CLASSES,
    TEST_LABELS,
    pictures,
    png,
    write_cifar10,
    write_file,
    write_image_folder,
    write_stl10,
    write_svhn,
    write_tiny_imagenet,
)


def content(tmp_path: Path, source: str, folder: Path) -> tuple[str, str]:
    with open_data_set(Data(source=source, folder=str(folder)), tmp_path / "downloads") as data:
        decoded = decode(data, Data(source=source, folder=str(folder)))
    return decoded["train"].content_hash(), decoded["test"].content_hash()


def test_the_same_pixels_have_one_content_hash_whatever_source_they_come_by(tmp_path: Path) -> None:
    train, test = pictures(0, 10, 32), pictures(1, 3, 32)
    for name in ("cifar10", "svhn", "image-folder"):
        (tmp_path / name).mkdir()
    write_cifar10(tmp_path / "cifar10", train, test)
    write_svhn(tmp_path / "svhn", train, test)
    write_image_folder(tmp_path / "image-folder", train, test)
    write_tiny_imagenet(tmp_path / "tiny.zip", train, test)
    with zipfile.ZipFile(tmp_path / "tiny.zip") as archive:
        archive.extractall(tmp_path / "tiny")
    found = {content(tmp_path, name, tmp_path / name) for name in ("cifar10", "svhn", "image-folder")}
    found |= {content(tmp_path, "tiny-imagenet", tmp_path / name) for name in ("tiny.zip", "tiny")}
    assert len(found) == 1
    write_image_folder(tmp_path / "other", train, pictures(2, 3, 32))
    assert content(tmp_path, "image-folder", tmp_path / "other") not in found


def test_readers_agree_with_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large, extra = pictures(0, 13, 32), pictures(1, 13, 96), pictures(2, 4, 96)
    write_cifar10(tmp_path, small[:10], small[10:])
    write_svhn(tmp_path, small[:10], small[10:])
    write_stl10(tmp_path, large[:10], large[10:], extra)
    for reader in (torchvision.datasets.CIFAR10, torchvision.datasets.SVHN, torchvision.datasets.STL10):
        monkeypatch.setattr(reader, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    sources = (
        (cifar10.cifar10(tmp_path), lambda split: torchvision.datasets.CIFAR10(tmp_path, train=split == "train")),
        (svhn.svhn(tmp_path), lambda split: torchvision.datasets.SVHN(tmp_path, split)),
        (stl10.stl10(tmp_path), lambda split: torchvision.datasets.STL10(tmp_path, split)),
    )
    for ours, theirs in sources:
        for split, records in (("train", ours.train), ("test", ours.test)):
            expected = list(theirs(split))
            assert len(expected) == len(records.labels)
            for row, (image, label) in enumerate(expected):
                assert label == records.labels[row]
                np.testing.assert_array_equal(records.pixels(row), np.asarray(image))


def test_archives_are_those_of_torchvision() -> None:
    theirs = torchvision.datasets
    assert (cifar10.ARCHIVES[0].url, cifar10.ARCHIVES[0].md5) == (theirs.CIFAR10.url, theirs.CIFAR10.tgz_md5)
    assert (stl10.ARCHIVES[0].url, stl10.ARCHIVES[0].md5) == (theirs.STL10.url, theirs.STL10.tgz_md5)
    ours = [[archive.url, archive.name, archive.md5] for archive in svhn.ARCHIVES]
    assert ours == [theirs.SVHN.split_list["train"], theirs.SVHN.split_list["test"]]


def test_digits_are_scikit_learns_each_exactly_once() -> None:
    bunch, data = load_digits(), digits.digits()
    decoded = decode(data, Data(source="digits"))
    assert {name: len(images.labels) for name, images in decoded.items()} == {"train": 1437, "test": 360}
    together = torch.cat([decoded["train"].images, decoded["test"].images])
    assert bool((together == together[:, :1]).all())
    ours = sorted(map(bytes, np.round(together[:, 0].numpy() / 255 * 16).astype(np.uint8)))
    assert ours == sorted(map(bytes, bunch.images.astype(np.uint8)))
    share = np.bincount(decoded["test"].labels) / np.bincount(bunch.target)
    np.testing.assert_allclose(share, 360 / 1797, atol=1 / 170)


def test_unlabelled_stl10_images_are_read_only_when_asked_for_and_have_label_minus_one(tmp_path: Path) -> None:
    large, extra = pictures(1, 13, 96), pictures(2, 4, 96)
    write_stl10(tmp_path, large[:10], large[10:], extra)
    assert stl10.stl10(tmp_path).unlabelled is None
    decoded = decode(
        stl10.stl10(tmp_path, unlabelled=True),
        Data.model_validate({"source": "stl10", "unlabelled": True, "train_images": 5}),
    )
    assert decoded["unlabelled"].labels.tolist() == [-1] * 4
    np.testing.assert_array_equal(decoded["unlabelled"].images.permute(0, 2, 3, 1), extra)
    assert len(decoded["train"].labels) == 5


def test_tiny_imagenet_labels_follow_sorted_ids_and_names_follow_the_words(tmp_path: Path) -> None:
    write_tiny_imagenet(tmp_path / "tiny-imagenet-200.zip", pictures(0, 10, 8), pictures(1, 3, 8))
    data = tiny_imagenet.tiny_imagenet(tmp_path)
    assert data.classes == ("goldfish, Carassius auratus", *(f"n{name}" for name in CLASSES[1:]))
    assert data.test.labels.tolist() == TEST_LABELS.tolist()


def test_a_damaged_zip_member_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "tiny-imagenet-200.zip"
    train = pictures(0, 10, 8)
    write_tiny_imagenet(path, train, pictures(1, 3, 8))
    path.write_bytes(path.read_bytes().replace(png(train[4]), png(train[4])[:-20] + bytes(20)))
    data = tiny_imagenet.tiny_imagenet(path)
    with pytest.raises(ArtifactError, match=r"n4_4\.JPEG is damaged"):
        decode(data, Data(source="tiny-imagenet"))


def test_a_label_outside_the_classes_is_an_error_that_names_its_row(tmp_path: Path) -> None:
    write_cifar10(tmp_path, pictures(0, 10, 32), pictures(1, 3, 32), CLASSES[:7])
    with pytest.raises(ArtifactError, match=r"row 7: label 7, and labels must lie in \[0, 7\)"):
        decode(cifar10.cifar10(tmp_path), Data(source="cifar10"))


def test_an_stl10_label_of_zero_is_refused_and_not_wrapped(tmp_path: Path) -> None:
    large = pictures(1, 13, 96)
    write_stl10(tmp_path, large[:10], large[10:], large[:1])
    (tmp_path / "stl10_binary" / "test_y.bin").write_bytes(bytes([1, 0, 2]))
    with pytest.raises(ArtifactError, match="row 1: label -1"):
        decode(stl10.stl10(tmp_path), Data(source="stl10"))


def test_a_cut_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    small, large = pictures(0, 13, 32), pictures(1, 13, 96)
    write_cifar10(tmp_path, small[:10], small[10:])
    write_svhn(tmp_path, small[:10], small[10:])
    write_stl10(tmp_path, large[:10], large[10:], large[:1])
    for name in ("cifar-10-batches-py/data_batch_3", "train_32x32.mat", "stl10_binary/test_X.bin"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-100])
    readers = {"data_batch_3": cifar10.cifar10, "train_32x32": svhn.svhn, "test_X": stl10.stl10}
    for name, reader in readers.items():
        with pytest.raises(ArtifactError, match=name):
            reader(tmp_path)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("cifar10", "data_batch_1"),
        ("svhn", "train_32x32.mat"),
        ("stl10", "train_X.bin"),
        ("tiny-imagenet", "tiny-imagenet-200.zip"),
        ("image-folder", "train/<class>/"),
        ("parquet", r"train-\*\.parquet"),
    ],
)
def test_an_empty_folder_is_an_error_that_says_what_was_looked_for(tmp_path: Path, source: str, wanted: str) -> None:
    with (
        pytest.raises(ArtifactError, match=wanted),
        open_data_set(Data(source=source, folder=str(tmp_path)), tmp_path / "downloads"),
    ):
        pass
    assert not (tmp_path / "downloads").exists()


def test_an_image_folder_names_what_is_wrong_with_it(tmp_path: Path) -> None:
    write_image_folder(tmp_path, pictures(0, 10, 8), pictures(1, 3, 8))
    settings = Data(source="image-folder", folder=str(tmp_path))
    write_file(tmp_path / "val" / "stranger" / "0.png", png(pictures(0, 1, 8)[0]))
    with (
        open_data_set(settings, tmp_path) as data,
        pytest.raises(ArtifactError, match=r"val/stranger/0\.png: no training image is of its class 'stranger'"),
    ):
        decode(data, settings)
    (tmp_path / "val" / "stranger" / "0.png").unlink()
    (tmp_path / "train" / "4" / "4.png").write_bytes(png(pictures(0, 1, 8)[0])[:60])
    with open_data_set(settings, tmp_path) as data, pytest.raises(ArtifactError, match=r"train/4/4\.png: not a read"):
        decode(data, settings)


def test_images_of_mixed_sizes_need_image_size(tmp_path: Path) -> None:
    write_image_folder(tmp_path, pictures(0, 10, 8), pictures(1, 3, 8))
    write_file(tmp_path / "train" / "5" / "5.png", png(np.zeros((12, 20, 3), np.uint8)))
    mixed = Data(source="image-folder", folder=str(tmp_path))
    with open_data_set(mixed, tmp_path) as data:
        with pytest.raises(ConfigError, match=r"5\.png: 12x20 .* 8x8; set image_size"):
            decode(data, mixed)
        decoded = decode(data, mixed.model_copy(update={"image_size": 6}))
    assert decoded["train"].images.shape == (10, 3, 6, 6)


def test_a_folder_may_name_environment_variables_and_one_that_is_not_set_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image_folder(tmp_path / "images", pictures(0, 10, 8), pictures(1, 3, 8))
    monkeypatch.setenv("LSP_TEST_PLACE", str(tmp_path))
    with open_data_set(Data(source="image-folder", folder="$LSP_TEST_PLACE/images"), tmp_path) as data:
        assert data.classes == CLASSES
    monkeypatch.chdir(tmp_path)
    with open_data_set(Data(source="image-folder", folder="images"), tmp_path) as data:
        assert data.classes == CLASSES
    monkeypatch.delenv("LSP_TEST_PLACE")
    with (
        pytest.raises(ConfigError, match="LSP_TEST_PLACE"),
        open_data_set(Data(source="image-folder", folder="${LSP_TEST_PLACE}/images"), tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"source": "parquet"}, "folder"),
        ({"source": "digits", "folder": "x"}, "folder"),
        ({"source": "cifar10", "label_column": "x"}, "label_column"),
        ({"source": "cifar10", "unlabelled": True}, "unlabelled"),
        ({"source": "cifar10", "folder": "/nowhere/at/all"}, "folder"),
    ],
)
def test_a_setting_that_is_missing_or_without_effect_is_an_error_that_names_it(
    tmp_path: Path, settings: dict[str, object], key: str
) -> None:
    with pytest.raises((StageError, ValueError), match=key), open_data_set(Data.model_validate(settings), tmp_path):
        pass
