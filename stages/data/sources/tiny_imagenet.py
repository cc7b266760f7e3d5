"""Tiny-ImageNet-200 (Stanford CS231n, 2015) from its zip, or from the folder it unpacks to.

The official test labels are secret, so the validation images are the test set, as in the literature.
"""

from pathlib import Path, PurePosixPath

import numpy as np

from stages.core.errors import ArtifactError
from stages.data.download import Archive
from stages.data.records import DataSet, Records, from_encoded
from stages.data.trees import Tree, folder_tree, zip_tree

ARCHIVES = (
    Archive(
        "tiny-imagenet-200.zip",
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        "90528d7ca1a48142e341f4ef8d21d0de",
        248_100_043,
    ),
)
KNOWN = {"train": 100_000, "test": 10_000, "side": 64, "classes": 200}
NESTED = "tiny-imagenet-200"
LAYOUTS = ({"tiny-imagenet-200.zip": "zip"}, {"wnids.txt": "bytes", "val/val_annotations.txt": "bytes"})
IDS, WORDS, ANNOTATIONS = "wnids.txt", "words.txt", "val/val_annotations.txt"


def tiny_imagenet(folder: Path) -> DataSet:
    """Classes are WordNet ids in sorted order, named by words.txt; training images are sorted by id, then name."""
    tree = _open(folder)
    ids = sorted(set(tree.text(IDS).split()))
    label_of = {wordnet_id: label for label, wordnet_id in enumerate(ids)}
    train = [name for name in tree.names if PurePosixPath(name).match("train/*/images/*.JPEG")]
    train_labels = [_label(tree, name, name.split("/")[1], label_of) for name in train]
    lines = [line.split("\t") for line in tree.text(ANNOTATIONS).splitlines() if line.strip()]
    if short := next((line for line in lines if len(line) < 2), None):
        raise ArtifactError(f"{tree.where(ANNOTATIONS)}: '{short[0]}' names no class; get the archive again")
    test = [f"val/images/{line[0]}" for line in lines]
    test_labels = [_label(tree, name, line[1], label_of) for name, line in zip(test, lines, strict=True)]
    if not train or not test:
        raise ArtifactError(f"{tree.origin}: no {'val' if train else 'train'} images; get the archive again")
    return DataSet(_class_names(tree, ids), _records(tree, train, train_labels), _records(tree, test, test_labels))


def _open(place: Path) -> Tree:
    """The zip first, as its checksum was verified if it was downloaded; then an unpacked folder."""
    archive = place if place.is_file() else place / ARCHIVES[0].name
    if archive.is_file():
        return zip_tree(archive, NESTED)
    for candidate in (place / NESTED, place):
        if (candidate / IDS).is_file():
            return folder_tree(candidate)
    raise ArtifactError(
        f"{place}: no {ARCHIVES[0].name}, {NESTED}/{IDS} or {IDS}; put the official files there, "
        "or leave `folder` out to download them"
    )


def _label(tree: Tree, name: str, wordnet_id: str, label_of: dict[str, int]) -> int:
    if wordnet_id not in label_of:
        raise ArtifactError(f"{tree.where(name)}: class '{wordnet_id}' is not in {IDS}; get the archive again")
    return label_of[wordnet_id]


def _records(tree: Tree, names: list[str], labels: list[int]) -> Records:
    return from_encoded(
        lambda row: tree.read(names[row]), np.array(labels, np.int64), lambda row: tree.where(names[row])
    )


def _class_names(tree: Tree, ids: list[str]) -> tuple[str, ...]:
    """The words of each id, such as 'goldfish, Carassius auratus'; the id itself where there are none."""
    lines = tree.text(WORDS).splitlines() if WORDS in tree.names else []
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    return tuple(words.get(wordnet_id, wordnet_id) for wordnet_id in ids)
