"""What every source gives: its splits as records whose pixels are decoded only when asked for."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.artifacts import UNLABELLED
from stages.core.errors import ArtifactError
from stages.data.pixels import Pixels, decode_image

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Records:
    """One split: labels (N,) int64; pixels(row) gives (H, W, 3) uint8; where(row) names the row in an error.

    noted: what decoding met and a manifest should tell, counted (see `pixels.decode_image`).
    """

    labels: Labels
    pixels: Callable[[int], Pixels]
    where: Callable[[int], str]
    noted: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class DataSet:
    """The two labelled splits, and unlabelled images where they are asked for.

    classes: the names by label as the source lists them, () where it lists none (see `classes.settled`).
    """

    classes: tuple[str, ...]
    train: Records
    test: Records
    unlabelled: Records | None = None

    @property
    def splits(self) -> dict[str, Records]:
        """The splits by name, in the order they are decoded."""
        extra = {} if self.unlabelled is None else {"unlabelled": self.unlabelled}
        return {"train": self.train, "test": self.test, **extra}


def from_array(images: Pixels, labels: Labels, origin: str) -> Records:
    """Records of pixels already in memory, images (N, H, W, 3) uint8 in any stride order; origin names the file."""
    if len(images) != len(labels):
        raise ArtifactError(
            f"{origin}: {len(images)} images and {len(labels)} labels; the file is damaged, get it again"
        )
    return Records(labels, lambda row: images[row], lambda row: f"{origin}, row {row}")


def from_encoded(read: Callable[[int], bytes], labels: Labels, where: Callable[[int], str]) -> Records:
    """Records of image files: read(row) gives the bytes of a JPEG, PNG, ..."""
    noted: Counter[str] = Counter()
    return Records(labels, lambda row: decode_image(read(row), where(row), noted), where, noted)


def without_labels(records: Records) -> Records:
    """The same images with every label -1."""
    return replace(records, labels=np.full(len(records.labels), UNLABELLED, np.int64))


def whole_numbers(found: Any, origin: str) -> Labels:
    """Labels (N,) int64 as a file may spell them: whole numbers, perhaps as floats; origin names the file.

    Raises ArtifactError for anything else: text, truth values, fractions, NaN, numbers beyond 63 bits, nested lists.
    """
    try:
        numbers = np.asarray(found)
    except ValueError:  # nested lists of several lengths
        numbers = np.empty((0, 0))
    if numbers.ndim == 1 and numbers.dtype.kind in "iuf":
        with np.errstate(invalid="ignore"):
            labels = numbers.astype(np.int64)
        if len(wrong := np.flatnonzero(labels != numbers)) == 0:
            return labels
        row = int(wrong[0])
        raise ArtifactError(f"{origin}, row {row}: label {numbers[row]} is not a whole number below 2^63; mend it")
    raise ArtifactError(f"{origin}: the labels must be one whole number an image; get the file again")
