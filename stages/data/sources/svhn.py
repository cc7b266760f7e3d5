"""SVHN (Netzer et al., 2011), the cropped 32x32 digits, from its two MATLAB files."""

import math
from pathlib import Path

import numpy as np
import scipy.io

from stages.core.ceilings import require_below, unpacked_ceiling
from stages.core.errors import ArtifactError
from stages.core.refused import one_line
from stages.data.download import Archive
from stages.data.paths import official_folder
from stages.data.records import DataSet, Records, from_array, whole_numbers

_SITE = "http://ufldl.stanford.edu/housenumbers"
TRAIN, TEST = "train_32x32.mat", "test_32x32.mat"
ARCHIVES = (
    Archive(TRAIN, f"{_SITE}/{TRAIN}", "e26dedcc434d2e4c54c9b2d4a06d8373", 182_040_794),
    Archive(TEST, f"{_SITE}/{TEST}", "eb5a983be6a315427106f1b164d9cef3", 64_275_384),
)
KNOWN = {"train": 73_257, "test": 26_032, "side": 32, "classes": 10}
NESTED = "svhn"
LAYOUTS = ({"train_32x32.mat": "matlab", "test_32x32.mat": "matlab"},)
CLASSES = tuple("0123456789")
ZERO_IN_FILE = 10


def svhn(folder: Path) -> DataSet:
    """Training and test images from `folder` or its NESTED folder; the extra training images are not used."""
    place = official_folder(folder, NESTED, [TRAIN, TEST])
    return DataSet(CLASSES, _split(place / TRAIN), _split(place / TEST))


def _split(path: Path) -> Records:
    """X (32, 32, 3, N) uint8 and y (N, 1), where 10 stands for the digit 0."""
    size = path.stat().st_size
    try:
        told = sum(math.prod(shape) for name, shape, _ in scipy.io.whosmat(path) if name in ("X", "y"))
        require_below(told, unpacked_ceiling(size), f"{path}: X and y", "numbers")
        content = scipy.io.loadmat(path, variable_names=["X", "y"])
    except ArtifactError:
        raise
    except Exception as error:  # the MATLAB reader raises many kinds, and the bytes are to blame for all
        raise ArtifactError(f"{path}: not a readable MATLAB file ({one_line(error)}); get it again") from error
    images, labels = (content.get(name, np.empty(0)) for name in ("X", "y"))
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[2] != 3:
        raise ArtifactError(f"{path}: X must be uint8 (32, 32, 3, N); it is {images.dtype} {images.shape}")
    digits = whole_numbers(labels.reshape(-1), str(path))
    if {0, ZERO_IN_FILE} <= set(digits.tolist()):
        raise ArtifactError(f"{path}: y has both 0 and {ZERO_IN_FILE}, which stands for 0; keep to one of them")
    return from_array(images.transpose(3, 0, 1, 2), np.where(digits == ZERO_IN_FILE, 0, digits), str(path))
