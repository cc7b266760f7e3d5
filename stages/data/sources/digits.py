"""scikit-learn's bundled digits: 1,797 images of 8x8 with values 0..16 (a test set of Alpaydin and Kaynak, 1998)."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from stages.data.records import DataSet, from_array
from stages.data.subset import proportional_rows

KNOWN = {"train": 1_437, "test": 360, "side": 8, "classes": 10}
SCALE = 255 / 16
TEST_IMAGES = 360
SPLIT_SEED = 0


def digits() -> DataSet:
    """1,437 training and 360 test images, three equal channels, 0..16 scaled to 0..255.

    The split is fixed and keeps the classes in proportion; both sides stay in the original order.
    """
    bunch = load_digits()
    gray = np.rint(bunch.images * SCALE).astype(np.uint8)
    images = np.repeat(gray[..., None], 3, axis=3)
    labels = bunch.target.astype(np.int64)
    test = proportional_rows(labels, TEST_IMAGES, torch.Generator().manual_seed(SPLIT_SEED), "digits")
    train = np.setdiff1d(np.arange(len(labels)), test)
    return DataSet(
        tuple(str(name) for name in bunch.target_names),
        from_array(images[train], labels[train], "digits (train)"),
        from_array(images[test], labels[test], "digits (test)"),
    )
