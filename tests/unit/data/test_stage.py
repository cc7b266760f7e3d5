"""The stage by hand: `python -m stages.data`."""

import hashlib
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from stages.core.artifacts import read_images
from stages.data import download
from stages.data.__main__ import main
from stages.data.download import Archive
from stages.data.sources import cifar10, stl10
from tests.unit.refusing import refusal


def run(folder: Path, settings: dict[str, object], *more: str) -> None:
    outputs = [part for name in ("train", "test") for part in (f"--{name}", str(folder / f"{name}.safetensors"))]
    places = ["--downloads", str(folder / "downloads"), "--manifest", str(folder / "manifest.json")]
    main(["--settings", json.dumps(settings), *outputs, *places, *more])


def write_stl10(place: Path) -> None:
    """Two training, one test and three unlabelled images in the official layout."""
    place.mkdir()
    for name, count in (("train", 2), ("test", 1), ("unlabeled", 3)):
        (place / f"{name}_X.bin").write_bytes(np.full((count, 3, 96, 96), 7 * count, np.uint8).tobytes())
        (place / f"{name}_y.bin").write_bytes(bytes(range(1, count + 1)))
    (place / "class_names.txt").write_text("airplane\nbird\n")


def test_the_manifest_holds_the_content_hashes_and_class_counts_of_what_is_written(tmp_path: Path) -> None:
    run(tmp_path, {"source": "digits", "train_images": 100, "test_images": 30}, "--threads", "1", "--device", "cpu")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for name, count in (("train", 100), ("test", 30)):
        images = read_images(tmp_path / f"{name}.safetensors")
        facts = manifest["facts"][name]
        assert (facts["images"], facts["shape"]) == (count, [3, 8, 8])
        assert facts["content_hash"] == images.content_hash()
        assert facts["class_counts"] == np.bincount(images.labels).tolist()
        written = (tmp_path / f"{name}.safetensors").read_bytes()
        assert manifest["outputs"][name]["sha256"] == hashlib.sha256(written).hexdigest()


def test_two_runs_write_the_same_images_and_another_seed_others(tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(tmp_path / name, {"source": "digits", "train_images": 100, "subset_seed": seed})
        found.append(read_images(tmp_path / name / "train.safetensors").content_hash())
    assert found[0] == found[1] != found[2]


def test_a_downloaded_archive_is_verified_and_becomes_three_image_sets_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "downloads").mkdir()
    write_stl10(tmp_path / "stl10_binary")
    path = tmp_path / "downloads" / "stl10_binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "stl10_binary", "stl10_binary")
    archive = Archive(path.name, "http://official.invalid/x", hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(stl10, "ARCHIVES", (archive,))
    settings = {"source": "stl10", "unlabelled": True, "image_size": 48}
    run(tmp_path, settings, "--unlabelled", str(tmp_path / "unlabelled.safetensors"))
    unlabelled = read_images(tmp_path / "unlabelled.safetensors")
    assert unlabelled.labels.tolist() == [-1] * 3
    assert unlabelled.images.shape == (3, 3, 48, 48)
    assert bool((unlabelled.images == 21).all())
    assert read_images(tmp_path / "train.safetensors").classes == ("airplane", "bird")
    assert [kept.name for kept in (tmp_path / "downloads").iterdir()] == ["stl10_binary.tar.gz"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"source": "digits", "train_images": 2000}, "train_images: 2000 is more than the 1437"),
        ({"source": "digits", "folder": "x"}, "folder"),
        ({"source": "digit"}, "source"),
        ({"source": "stl10", "unlabelled": True, "folder": "x"}, "--unlabelled"),
        ({"source": "cifar10"}, "cifar-10-python.tar.gz: cannot be had"),
    ],
)
def test_what_a_user_can_cure_is_one_line_and_leaves_no_output(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, object],
    told: str,
) -> None:
    nowhere = Archive("cifar-10-python.tar.gz", "http://127.0.0.1:9/cifar-10-python.tar.gz", "0" * 32)
    monkeypatch.setattr(cifar10, "ARCHIVES", (nowhere,))
    monkeypatch.setattr(download, "RETRIES", 0)
    assert told in refusal(capfd, run, tmp_path, settings)[-1]
    assert not list(tmp_path.glob("*.safetensors")) + list(tmp_path.glob("*.json"))
