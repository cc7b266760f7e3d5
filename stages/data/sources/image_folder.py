"""Any folder of images by class: train/<class>/... and test/<class>/... (or val/<class>/...)."""

from pathlib import Path, PurePosixPath

import numpy as np

from stages.core.errors import ArtifactError
from stages.data.records import DataSet, Records, from_encoded
from stages.data.trees import Tree, folder_tree

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
TEST_NAMES = ("test", "val")
LAYOUTS = ({"train/*/*": "bytes", "test/*/*": "bytes"}, {"train/*/*": "bytes", "val/*/*": "bytes"})


def image_folder(folder: Path) -> DataSet:
    """Classes are the folders of images in sorted order; images are sorted by class, then path.

    Other files, and hidden ones, are passed over. Where both test/ and val/ hold images, test/ is the test set.
    """
    tree = folder_tree(folder)
    train = _images(tree, "train")
    test = next((images for split in TEST_NAMES if (images := _images(tree, split))), [])
    if not train or not test:
        wanted = "test/<class>/ or val/<class>/" if train else "train/<class>/"
        raise ArtifactError(f"{folder}: no images in {wanted}; both a training and a test split are needed")
    classes = sorted({_class(name) for name in (*train, *test)})
    label_of = {name: label for label, name in enumerate(classes)}
    return DataSet(tuple(classes), _records(tree, train, label_of), _records(tree, test, label_of))


def _images(tree: Tree, split: str) -> list[str]:
    paths = (PurePosixPath(name) for name in tree.names)
    images = [
        path
        for path in paths
        if len(path.parts) > 2
        and path.parts[0] == split
        and path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.parts)
    ]
    return [str(path) for path in sorted(images, key=lambda path: path.parts)]


def _class(name: str) -> str:
    return name.split("/")[1]


def _records(tree: Tree, names: list[str], label_of: dict[str, int]) -> Records:
    labels = np.array([label_of[_class(name)] for name in names], np.int64)
    return from_encoded(lambda row: tree.read(names[row]), labels, lambda row: tree.where(names[row]))
