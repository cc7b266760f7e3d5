"""CIFAR-10 (Krizhevsky, 2009) from its Python batches.

The batches are pickles. They are always read by the restricted reader, official or not: then no checksum stands
between a user's own folder and code in a pickle, and small or altered batches in the same format can be read too.
"""

from pathlib import Path
from typing import Any

import numpy as np

from stages.core.errors import ArtifactError
from stages.data.download import Archive
from stages.data.paths import official_folder
from stages.data.pickles import read_pickle
from stages.data.pixels import Pixels
from stages.data.records import DataSet, Labels, Records, from_array, whole_numbers

ARCHIVES = (
    Archive(
        "cifar-10-python.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        170_498_071,
    ),
)
KNOWN = {"train": 50_000, "test": 10_000, "side": 32, "classes": 10}
NESTED = "cifar-10-batches-py"
LAYOUTS = (
    {
        "data_batch_1": "pickle",
        "data_batch_2": "pickle",
        "data_batch_3": "pickle",
        "data_batch_4": "pickle",
        "data_batch_5": "pickle",
        "test_batch": "pickle",
        "batches.meta": "pickle",
    },
)
TRAIN = [f"data_batch_{number}" for number in range(1, 6)]
TEST = ["test_batch"]
META = "batches.meta"
SIDE = 32


def cifar10(folder: Path) -> DataSet:
    """The five training batches in order, the test batch and the class names, from `folder` or its NESTED folder."""
    place = official_folder(folder, NESTED, list(LAYOUTS[0]))
    names = _field(place / META, read_pickle(place / META), "label_names")
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ArtifactError(f"{place / META}: 'label_names' must be a list of texts; get the official file again")
    return DataSet(tuple(names), _split(place, TRAIN), _split(place, TEST))


def _split(place: Path, names: list[str]) -> Records:
    batches = [_batch(place / name) for name in names]
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    return from_array(images.transpose(0, 2, 3, 1), labels, f"{place}/{'+'.join(names)}")


def _batch(path: Path) -> tuple[Pixels, Labels]:
    """Images (N, 3, 32, 32) uint8 and labels (N,) of one batch: rows of 1,024 red, green, then blue values."""
    batch = read_pickle(path)
    data, labels = _field(path, batch, "data"), _field(path, batch, "labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3 * SIDE * SIDE,):
        raise ArtifactError(f"{path}: 'data' must be uint8 (N, {3 * SIDE * SIDE}); get the official file again")
    whole = whole_numbers(labels, str(path))
    if len(whole) != len(data):
        raise ArtifactError(f"{path}: {len(data)} images and {len(whole)} labels; get the official file again")
    return data.reshape(-1, 3, SIDE, SIDE), whole


def _field(path: Path, content: Any, key: str) -> Any:
    if not isinstance(content, dict) or key not in content:
        raise ArtifactError(f"{path}: holds no '{key}'; get the official file again")
    return content[key]
