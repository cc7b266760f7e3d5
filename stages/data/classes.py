"""The classes of a data set, by one rule for every source.

The classes are the labels that training images have. In ascending order they become 0, 1, ..., as a classifier's
outputs need them; labels that count from 0 already stay as they are. A class is called by its name in the source's
list, or by its label where there is no list.
"""

from dataclasses import replace

import numpy as np

from stages.core.errors import ArtifactError
from stages.core.job.progress import log_line
from stages.data.records import DataSet, Labels, Records

SHOWN = 5
"""Names spelled out in a message; of more, only their number is told."""


def settled(data: DataSet) -> DataSet:
    """The data set with its classes named and numbered; what that changes is said in a line.

    Raises ArtifactError, naming the row, for a label below 0 or beyond the list of names, and for a class without
    training images among the test images; for a split without images and for a single class.
    """
    for split, records in (("train", data.train), ("test", data.test)):
        if not len(records.labels):
            raise ArtifactError(f"{split}: no images; look at the source's files")
        _check_range(records, data.classes)
    present = np.unique(data.train.labels)
    if len(strangers := np.flatnonzero(~np.isin(data.test.labels, present))):
        row = int(strangers[0])
        raise ArtifactError(
            f"{data.test.where(row)}: no training image is of its class {_called(int(data.test.labels[row]), data)}; "
            "take the test images of that class out or add training images"
        )
    if len(present) == 1:
        one = _called(int(present[0]), data)
        raise ArtifactError(f"train: every image is of the class {one}; a classifier needs two or more")
    train, test = (replace(part, labels=_numbered(part.labels, present)) for part in (data.train, data.test))
    return replace(data, classes=_names(present, data.classes), train=train, test=test)


def _called(label: int, data: DataSet) -> str:
    return f"'{data.classes[label]}'" if data.classes else str(label)


def _check_range(records: Records, names: tuple[str, ...]) -> None:
    most = len(names) - 1 if names else np.iinfo(np.int64).max
    if len(outside := np.flatnonzero((records.labels < 0) | (records.labels > most))):
        row = int(outside[0])
        rule = f"lie in [0, {len(names)}) for {len(names)} class names" if names else "be 0 or more"
        raise ArtifactError(
            f"{records.where(row)}: label {records.labels[row]}, and labels must {rule}; "
            f"mend the labels{' or the list of class names' if names else ''}"
        )


def _names(present: Labels, listed: tuple[str, ...]) -> tuple[str, ...]:
    """The name of each class present (K,), all different: where the list has a name twice, each gets its label."""
    if not np.array_equal(present, np.arange(len(present))):
        log_line(f"classes: the labels {_some(present.tolist())} become 0 to {len(present) - 1}")
    if not listed:
        return tuple(str(label) for label in present)
    if absent := sorted(set(range(len(listed))) - set(present.tolist())):
        unused = _some([f"'{listed[label]}'" for label in absent])
        log_line(f"classes: {len(absent)} of {len(listed)} names have no training image and are left out: {unused}")
    names = [listed[label] for label in present]
    if len(set(names)) == len(names) and all(names):
        return tuple(names)
    log_line("classes: the list has a name twice or an empty one; each name is given with its label")
    return tuple(f"{name} ({label})" for name, label in zip(names, present, strict=True))


def _numbered(labels: Labels, present: Labels) -> Labels:
    """The place of each of labels (N,) in present (K,), which is sorted and holds them all."""
    return np.searchsorted(present, labels).astype(np.int64)


def _some(things: list[object]) -> str:
    shown = ", ".join(str(thing) for thing in things[:SHOWN])
    return shown if len(things) <= SHOWN else f"{shown}, ... ({len(things)} in all)"
