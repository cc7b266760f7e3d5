"""STL-10 (Coates, Ng and Lee, 2011) from its binary files: 96x96, 13,000 labelled and 100,000 unlabelled images."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from stages.core.ceilings import read_below
from stages.core.errors import ArtifactError
from stages.data.download import Archive
from stages.data.paths import official_folder
from stages.data.pixels import Pixels
from stages.data.records import DataSet, Records, from_array, without_labels

ARCHIVES = (
    Archive(
        "stl10_binary.tar.gz",
        "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
        "91f7769df0f17e558f3565bffb0c7dfb",
        2_640_397_119,
    ),
)
KNOWN = {"train": 5_000, "test": 8_000, "unlabelled": 100_000, "side": 96, "classes": 10}
NESTED = "stl10_binary"
LAYOUTS = (
    {
        "train_X.bin": "bytes",
        "train_y.bin": "bytes",
        "test_X.bin": "bytes",
        "test_y.bin": "bytes",
        "class_names.txt": "bytes",
    },
)
UNLABELLED_FILE = "unlabeled_X.bin"
CLASS_NAMES = "class_names.txt"
SIDE = 96


def stl10(
    folder: Path,
    *,
    unlabelled: Annotated[bool, Field(description="pre-train MoCo on the unlabelled images too")] = False,
) -> DataSet:
    """Training and test images, and the unlabelled ones if asked for, from `folder` or its NESTED folder."""
    place = official_folder(folder, NESTED, [*LAYOUTS[0], *([UNLABELLED_FILE] if unlabelled else [])])
    extra = None
    if unlabelled:
        images = _images(place / UNLABELLED_FILE)
        extra = without_labels(from_array(images, np.zeros(len(images), np.int64), str(place / UNLABELLED_FILE)))
    return DataSet(_class_names(place / CLASS_NAMES), _split(place, "train"), _split(place, "test"), extra)


def _class_names(path: Path) -> tuple[str, ...]:
    """A name a line, which may hold spaces."""
    try:
        lines = read_below(path).decode().splitlines()
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{path}: not a text file ({error}); get the official file again") from error
    return tuple(line.strip() for line in lines if line.strip())


def _split(place: Path, split: str) -> Records:
    """Labels are written 1..10; a 0 becomes -1 and is refused later."""
    labels = np.fromfile(place / f"{split}_y.bin", np.uint8).astype(np.int64) - 1
    return from_array(_images(place / f"{split}_X.bin"), labels, str(place / f"{split}_X.bin"))


def _images(path: Path) -> Pixels:
    """A view (N, 96, 96, 3) of the file, which is left on disk: images are (3, columns, rows), column by column."""
    count, rest = divmod(path.stat().st_size, 3 * SIDE * SIDE)
    if count == 0 or rest:
        raise ArtifactError(f"{path}: not a whole number of 3x{SIDE}x{SIDE} images; the file is damaged, get it again")
    return np.memmap(path, np.uint8, "r", shape=(count, 3, SIDE, SIDE)).transpose(0, 3, 2, 1)
