"""Small data sets in each source's real on-disk format, for tests of the readers."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
from numpy.typing import NDArray
from PIL import Image

from stages.data.sources import cifar10

Array = NDArray[np.uint8]
Labels = NDArray[Any]
CLASSES = tuple("0123456789")
TRAIN_LABELS = np.arange(10)
TEST_LABELS = np.array([0, 3, 9])
BOTH = (TRAIN_LABELS, TEST_LABELS)


def pictures(seed: int, count: int, side: int) -> Array:
    """Pixels (count, side, side, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def png(pixels: Array) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_cifar10(
    folder: Path,
    train: Array,
    test: Array,
    names: tuple[str, ...] = CLASSES,
    labels: tuple[Labels, Labels] = BOTH,
) -> None:
    place = folder / "cifar-10-batches-py"
    place.mkdir(parents=True)
    batches = dict(zip(cifar10.TRAIN, np.array_split(np.arange(len(train)), 5), strict=True))
    contents = {name: (train[rows], labels[0][rows]) for name, rows in batches.items()}
    for name, (images, of_batch) in {**contents, "test_batch": (test, labels[1])}.items():
        flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        batch = {"batch_label": name, "labels": of_batch.tolist(), "data": flat, "filenames": []}
        (place / name).write_bytes(pickle.dumps(batch, protocol=2))
    (place / "batches.meta").write_bytes(pickle.dumps({"label_names": list(names)}, protocol=2))


def write_svhn(folder: Path, train: Array, test: Array, labels: tuple[Labels, Labels] = BOTH) -> None:
    for name, images, of_split in (("train", train, labels[0]), ("test", test, labels[1])):
        written = np.where(of_split == 0, 10, of_split).astype(np.uint8)[:, None]
        scipy.io.savemat(folder / f"{name}_32x32.mat", {"X": images.transpose(1, 2, 3, 0), "y": written})


def write_stl10(
    folder: Path, train: Array, test: Array, unlabelled: Array, labels: tuple[Labels, Labels] = BOTH
) -> None:
    place = folder / "stl10_binary"
    place.mkdir()
    for name, images in (("train", train), ("test", test), ("unlabeled", unlabelled)):
        (place / f"{name}_X.bin").write_bytes(images.transpose(0, 3, 2, 1).tobytes())
    for name, of_split in (("train", labels[0]), ("test", labels[1])):
        (place / f"{name}_y.bin").write_bytes((of_split + 1).astype(np.uint8).tobytes())
    (place / "class_names.txt").write_text("".join(f"{name}\n" for name in CLASSES))


def write_tiny_imagenet(path: Path, train: Array, test: Array, labels: tuple[Labels, Labels] = BOTH) -> None:
    top = "tiny-imagenet-200"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{top}/wnids.txt", "".join(f"n{name}\n" for name in reversed(CLASSES)))
        archive.writestr(f"{top}/words.txt", "n0\tgoldfish, Carassius auratus\nn77\tnot used\n")
        for row, (label, image) in enumerate(zip(labels[0], train, strict=True)):
            archive.writestr(f"{top}/train/n{label}/images/n{label}_{row}.JPEG", png(image))
            archive.writestr(f"{top}/train/n{label}/n{label}_{row}_boxes.txt", f"n{label}_{row}.JPEG\t0\t0\t9\t9\n")
        lines = [f"val_{row}.JPEG\tn{label}\t0\t32\t44\t62\n" for row, label in enumerate(labels[1])]
        archive.writestr(f"{top}/val/val_annotations.txt", "".join(lines))
        for row, image in enumerate(test):
            archive.writestr(f"{top}/val/images/val_{row}.JPEG", png(image))
        archive.writestr(f"{top}/test/images/test_0.JPEG", png(test[0]))


def write_image_folder(folder: Path, train: Array, test: Array, labels: tuple[Labels, Labels] = BOTH) -> None:
    for split, images, of_split in (("train", train, labels[0]), ("val", test, labels[1])):
        for row, (image, label) in enumerate(zip(images, of_split, strict=True)):
            write_file(folder / split / CLASSES[label] / f"{row}.png", png(image))
    write_file(folder / "train" / CLASSES[labels[0][0]] / "notes.txt", b"no image")


def write_parquet(
    folder: Path,
    train: Array,
    test: Array,
    labels: tuple[Labels, Labels] = BOTH,
    names: tuple[str, ...] | None = None,
) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for split, images, of_split in (("train", train, labels[0]), ("test", test, labels[1])):
        encoded = pa.array([{"bytes": png(image), "path": None} for image in images], kind)
        table = pa.table({"image": encoded, "label": pa.array(of_split.tolist(), pa.int64())})
        if names is not None:
            features = {"label": {"names": names, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, folder / f"{split}.parquet")
