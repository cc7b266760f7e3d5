"""What every source gives: its splits as records whose pixels are decoded only when asked for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.core.artifacts import UNLABELLED
from stages.core.errors import ArtifactError
from stages.data.pixels import Pixels, decode_image

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Records:
    """One split: labels (N,) int64; pixels(row) gives (H, W, 3) uint8; where(row) names the row in an error."""

    labels: Labels
    pixels: Callable[[int], Pixels]
    where: Callable[[int], str]


@dataclass(frozen=True)
class DataSet:
    """Class names by label, the two labelled splits, and STL-10's unlabelled images where they are asked for."""

    classes: tuple[str, ...]
    train: Records
    test: Records
    unlabelled: Records | None = None


def from_array(images: Pixels, labels: Labels, origin: str) -> Records:
    """Records of pixels already in memory, images (N, H, W, 3) uint8 in any stride order; origin names the file."""
    if len(images) != len(labels):
        raise ArtifactError(
            f"{origin}: {len(images)} images and {len(labels)} labels; the file is damaged, get it again"
        )
    return Records(labels, lambda row: images[row], lambda row: f"{origin}, row {row}")


def from_encoded(read: Callable[[int], bytes], labels: Labels, where: Callable[[int], str]) -> Records:
    """Records of image files: read(row) gives the bytes of a JPEG, PNG, ..."""
    return Records(labels, lambda row: decode_image(read(row), where(row)), where)


def unlabelled(records: Records) -> Records:
    """The same images with every label -1."""
    return Records(np.full(len(records.labels), UNLABELLED, np.int64), records.pixels, records.where)


def check_labels(records: Records, classes: tuple[str, ...]) -> None:
    """Raise ArtifactError unless there are records and each label names a class; the message names the first row."""
    outside = np.flatnonzero((records.labels < 0) | (records.labels >= len(classes)))
    if len(outside):
        row = int(outside[0])
        raise ArtifactError(
            f"{records.where(row)}: label {records.labels[row]}, and labels must lie in [0, {len(classes)}) for "
            f"{len(classes)} classes; mend the labels or the list of class names"
        )
