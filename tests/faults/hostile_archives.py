"""Hostile archives, folders and files of data sets."""

import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.core.config.data import Data
from stages.data.catalog import open_data_set
from stages.data.decode import decode
from stages.data.download import unpack
from tests.faults.packed import GIB, deflated, end_of_zip, gzipped, mat_of, tar_header, tar_of, zip_of
from tests.faults.untrusted import CANARY, Hostile, linked, sparse
from tests.unit.data.source_files import (
    BOTH,
    CLASSES,
    pictures,
    write_cifar10,
    write_image_folder,
    write_parquet,
    write_stl10,
    write_svhn,
)

TAR, ZIP, TOP = "set.tar.gz", "tiny-imagenet-200.zip", "tiny-imagenet-200/wnids.txt"
REPEATED = 30_000_000  # rows of one value, 240 MB


def unpacked(path: Path) -> None:
    """As a download is."""
    unpack(path, path.parent / "unpacked")


def source(name: str, **settings: Any) -> Callable[[Path], object]:
    """What reads and decodes a data set by the folder of the file."""

    def read(path: Path) -> object:
        data = Data.model_validate({"source": name, "folder": str(_top(path)), **settings})
        with open_data_set(data, path.parent) as found:
            return decode(found, data)

    return read


def _top(path: Path) -> Path:
    return next((place for place in path.parents if place.name == "set"), path.parent)


def tar(name: str, make: Callable[[Path], Path], *said: str) -> Hostile:
    """A tar to be unpacked."""
    return Hostile(f"tar: {name}", lambda folder: make(folder / TAR), unpacked, said=said)


def zipped(name: str, make: Callable[[Path], Path], *said: str) -> Hostile:
    """Tiny-ImageNet's zip."""
    return Hostile(f"zip: {name}", lambda folder: make(folder / ZIP), source("tiny-imagenet"), said=said)


def _many_in_zip(path: Path) -> Path:
    size = 10**6 * 80
    with path.open("wb") as stream:
        stream.truncate(size)
        stream.seek(size)
        stream.write(end_of_zip(10**6, size, 0))
    return path


def _plain_zip(name: str, method: int = zipfile.ZIP_STORED) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr(name, "x")
        return path

    return make


def in_set(write: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """A generator within a folder `set`."""

    def make(folder: Path) -> Path:
        (folder / "set").mkdir()
        return write(folder / "set")

    return make


def images(change: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """A folder of small images, something of which is changed."""

    def make(folder: Path) -> Path:
        write_image_folder(folder, pictures(0, 10, 8), pictures(1, 3, 8))
        return change(folder)

    return in_set(make)


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "train/3/pipe.png")
    return folder / "train/3/pipe.png"


def _deep(folder: Path) -> Path:
    (folder / "/".join(["train", "3", *["deep"] * 40])).mkdir(parents=True)
    return folder / "deep"


def cifar(name: str, **content: Any) -> Callable[[Path], Path]:
    """CIFAR-10's batches, one file of which holds something else; the key `whole`: all of it."""

    def make(folder: Path) -> Path:
        write_cifar10(folder, pictures(0, 10, 32), pictures(1, 3, 32))
        path = folder / "cifar-10-batches-py" / name
        batch = {**pickle.loads(path.read_bytes()), **content}
        path.write_bytes(batch.pop("whole", None) or pickle.dumps(batch, protocol=2))
        return path

    return in_set(make)


class Called:
    """Unpickling it makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (CANARY, "w")


def parquet(metadata: bytes | None = None, rows: int = 0) -> Callable[[Path], Path]:
    """A training file with other Hugging Face metadata, or of one image and label repeated."""

    def make(folder: Path) -> Path:
        write_parquet(folder, pictures(0, 10, 8), pictures(1, 3, 8), BOTH, CLASSES)
        path = folder / "train.parquet"
        table = pq.read_table(path)
        if metadata is not None:
            pq.write_table(table.replace_schema_metadata({"huggingface": metadata}), path)
        elif rows:
            label = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), pa.array([0], pa.int64()))
            pq.write_table(pa.table({"image": pa.nulls(rows, table.schema.field("image").type), "label": label}), path)
        return path

    return in_set(make)


def svhn(columns: int) -> Callable[[Path], Path]:
    """SVHN whose training file is that of so many images of zeros."""

    def make(folder: Path) -> Path:
        write_svhn(folder, pictures(0, 10, 32), pictures(1, 3, 32))
        return mat_of(folder / "train_32x32.mat", columns)

    return in_set(make)


def stl(name: str, content: bytes) -> Callable[[Path], Path]:
    """STL-10, one file of which holds something else."""

    def make(folder: Path) -> Path:
        write_stl10(folder, pictures(0, 10, 96), pictures(1, 3, 96), pictures(2, 1, 96))
        (folder / "stl10_binary" / name).write_bytes(content)
        return folder / "stl10_binary" / name

    return in_set(make)


def named(found: object) -> bytes:
    """Hugging Face metadata with these class names."""
    return json.dumps({"info": {"features": {"label": {"names": found}}}}).encode()


FAR = b"\x80\x02]r" + struct.pack("<I", 2**31) + b"."  # an empty list, numbered 2^31
LONG = b"\x80\x04\x96" + struct.pack("<Q", 2**40) + b"."  # a terabyte of bytes
WIDE = b"\x80\x02cnumpy\nndarray\n(\x8a\x06" + (2**45).to_bytes(6, "little") + b"\x85t\x81."
HOSTILE = (
    tar("1 GB in 1 MB", lambda path: gzipped(path, deflated(tar_header("a", GIB))), "LSP_CEILINGS=16"),
    tar("a header of 1 GB", lambda path: gzipped(path, deflated(tar_header("a", GIB, b"x"))), "a header"),
    tar("a name of 1 GB", lambda path: gzipped(path, deflated(tar_header("a", GIB, b"L"))), "a header"),
    tar("a million members", lambda path: gzipped(path, deflated(b"", tar_header("a") * 8192, 128)), "5,001 members"),
    tar("2,000 folders in one another", lambda path: tar_of(path, ["a/" * 2000 + "x"]), "2,001 levels of folders"),
    tar("a member outside", lambda path: tar_of(path, [f"../{CANARY}"]), "leaves the folder"),
    tar("a link outside", lambda path: tar_of(path, ["a"], tarfile.SYMTYPE, "/etc/passwd"), "leaves the folder"),
    tar("a device", lambda path: tar_of(path, ["a"], tarfile.CHRTYPE), "a member"),
    tar("no tar", lambda path: gzipped(path, deflated(b"no tar", b"", 0)), "not a readable tar"),
    zipped("1 GB in 1 MB", lambda path: zip_of(path, TOP, deflated(b""), GIB), "LSP_CEILINGS=32"),
    zipped("1 GB said to be 100 bytes", lambda path: zip_of(path, TOP, deflated(b""), 100), "damaged"),
    zipped("a million members", _many_in_zip, "80,000,000 bytes"),
    zipped("a member outside", _plain_zip(f"tiny-imagenet-200/../../{CANARY}"), "leaves the archive"),
    zipped("a method that nobody knows", lambda path: zip_of(path, TOP, b"x", 1, method=99), "damaged"),
    zipped("encrypted", lambda path: zip_of(path, TOP, bytes(20), 8, flags=1), "damaged"),
    zipped("without its files", _plain_zip("other/wnids.txt"), "holds no"),
    Hostile("images: a pipe", images(_pipe), source("image-folder"), said=("is a device or a pipe",)),
    Hostile(
        "images: an endless device",
        images(lambda folder: linked("/dev/zero", "train/3/zero.png")(folder)),
        source("image-folder"),
        said=("is a device or a pipe",),
    ),
    Hostile(
        "images: 1 GB",
        images(lambda folder: sparse(GIB, "train/3/large.png", b"\x89PNG\r\n\x1a\n")(folder)),
        source("image-folder"),
        said=("LSP_CEILINGS=32",),
    ),
    Hostile(
        "images: a link to the folder it is in",
        images(lambda folder: linked("..", "train/3/round")(folder)),
        source("image-folder"),
        said=("a link to a folder that it lies in",),
    ),
    Hostile("images: 42 folders in one another", images(_deep), source("image-folder"), said=("levels of folders",)),
    Hostile("CIFAR-10: names are a word", cifar("batches.meta", label_names="cat"), source("cifar10")),
    Hostile("CIFAR-10: names are numbers", cifar("batches.meta", label_names=[1, 2]), source("cifar10")),
    Hostile("CIFAR-10: names are arrays", cifar("batches.meta", label_names=[np.zeros(3)] * 10), source("cifar10")),
    Hostile("CIFAR-10: labels in labels", cifar("data_batch_1", labels=[[0], [1, 2]]), source("cifar10")),
    Hostile("CIFAR-10: labels of 400 digits", cifar("data_batch_1", labels=[10**400, 1]), source("cifar10")),
    Hostile("CIFAR-10: images are a list", cifar("data_batch_1", data=[0] * 3072), source("cifar10")),
    Hostile("CIFAR-10: code", cifar("data_batch_1", whole=pickle.dumps(Called())), source("cifar10")),
    Hostile("CIFAR-10: an object numbered 2^31", cifar("data_batch_1", whole=FAR), source("cifar10")),
    Hostile("CIFAR-10: a terabyte of bytes", cifar("data_batch_1", whole=LONG), source("cifar10")),
    Hostile("CIFAR-10: an array of 2^45", cifar("data_batch_1", whole=WIDE), source("cifar10")),
    Hostile("Parquet: metadata is no JSON", parquet(b"{"), source("parquet"), said=("`huggingface`",)),
    Hostile("Parquet: metadata is no text", parquet(b"\xff"), source("parquet"), said=("`huggingface`",)),
    Hostile("Parquet: metadata is a list", parquet(b"[1]"), source("parquet"), said=("no object where 'info'",)),
    Hostile("Parquet: metadata of lists in lists", parquet(b"[" * 10_000), source("parquet"), said=("no JSON",)),
    Hostile("Parquet: names are a word", parquet(named("cat")), source("parquet"), said=("list of texts",)),
    Hostile("Parquet: names are numbers", parquet(named([0, 1])), source("parquet"), said=("list of texts",)),
    Hostile("Parquet: a row repeated", parquet(rows=REPEATED), source("parquet"), said=("LSP_CEILINGS=",)),
    Hostile("SVHN: 3 GB in 3 MB", svhn(10**6), source("svhn"), said=("LSP_CEILINGS=",)),
    Hostile("STL-10: names are no text", stl("class_names.txt", b"\xff\xfe"), source("stl10"), said=("not a text",)),
    Hostile("STL-10: half an image", stl("train_X.bin", bytes(100)), source("stl10"), said=("not a whole number",)),
)
