"""A data source is one file and one stanza: checked, planned, prepared and named by what its file alone says."""

import json

import pytest

from stages.core.artifacts import read_images
from tests.conftest import Project

pytestmark = pytest.mark.slow

FILE = "stages/data/sources/stripes.py"
SOURCE = '''"""Stripes, bright in one class and dark in the other."""

from pathlib import Path

import numpy as np

from stages.core.config.quantities import Count
from stages.data.records import DataSet, from_array, without_labels

KNOWN = {"train": 200, "classes": 2}


def stripes(folder: Path, *, bright: Count = 200, unlabelled: bool = False) -> DataSet:
    count = int((folder / "count.txt").read_text())
    labels = np.arange(count) % 2
    images = np.zeros((count, 48, 48, 3), np.uint8)
    images[labels == 1, ::2] = bright
    split = from_array(images, labels, "stripes")
    return DataSet(("dark", "bright"), split, split, without_labels(split) if unlabelled else None)
'''


@pytest.fixture
def striped(fresh: Project) -> Project:
    """A project with a file more."""
    (fresh.root / FILE).write_text(SOURCE)
    (fresh.root / "files").mkdir()
    (fresh.root / "files/count.txt").write_text("200")
    return fresh


def stanza(settings: str) -> str:
    """The tiny experiment on stripes."""
    return f"datasets: {{digits: {{data: {{source: stripes, folder: files, {settings}}}}}}}"


def prepare(project: Project, settings: str) -> None:
    """Run the data stage's job by Snakemake."""
    done = project.snakemake("--until", "data", overlay=stanza(settings))
    assert done.returncode == 0, done.stdout


def test_a_source_is_one_file_and_one_stanza(striped: Project) -> None:
    size = "train_images: 120, test_images: 24"
    prepare(striped, f"bright: 1e2, unlabelled: true, {size}")
    first = striped.only("data/digits-*/train.safetensors")
    images = read_images(first)
    assert images.classes == ("dark", "bright")
    assert images.images.amax(dim=(1, 2, 3)).tolist() == [100 * label for label in images.labels.tolist()]
    assert read_images(first.with_name("unlabelled.safetensors")).labels.tolist() == [-1] * 200
    manifest = json.loads(first.with_name("manifest.json").read_text())
    assert (manifest["settings"]["bright"], manifest["settings"]["unlabelled"]) == (100, True)


def test_another_source_reruns_nothing_and_a_change_of_its_own_file_or_settings_does(striped: Project) -> None:
    prepare(striped, "bright: 100")
    striped.append("stages/data/sources/svhn.py", "MORE = 1\n")
    assert "data" not in striped.counted(stanza("bright: 100"))
    assert striped.counted(stanza("bright: 101"))["data"] == 1
    striped.append(FILE, "MORE = 1\n")
    assert striped.counted(stanza("bright: 100"))["data"] == 1


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("brihgt: 3", "datasets.digits.data.brihgt: unknown key (did you mean 'bright'?)"),
        ("bright: -3", "datasets.digits.data.bright: Input should be greater than or equal to 1 (given: -3)"),
        (
            "image_column: x",
            "datasets.digits.data.image_column: a setting of parquet, and source stripes",
        ),
        ("train_images: 2000", "datasets.digits.data.train_images: 2000 is more than the 200 there are"),
        ("folder: null", "datasets.digits.data.folder: source stripes needs it"),
    ],
)
def test_what_is_wrong_in_its_stanza_is_one_line(striped: Project, settings: str, line: str) -> None:
    text = stanza(settings) if "folder" not in settings else stanza("").replace("folder: files, ", settings)
    done = striped.snakemake("-n", overlay=text)
    assert done.returncode == 1
    assert line in done.stdout
