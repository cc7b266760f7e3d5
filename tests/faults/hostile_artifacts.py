"""Artifacts that are malformed though their checksums are right."""

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch

from stages.core.artifacts import (
    read_embeddings,
    read_images,
    read_neighbors,
    read_structure,
    read_weights,
    write_tensors,
)
from stages.core.config.structure import NeighborSearch
from stages.core.files import canonical_json, digest
from stages.core.lipschitz import SCHEMA, read_lipschitz
from stages.core.models import Classifier
from stages.core.models.checkpoint import load_classifier
from stages.core.outcomes import OUTCOME_SCHEMA, read_outcomes
from stages.core.pictures import read_pictures
from stages.features.network import read_encoder
from stages.neighbors.index import build_index, checksum_path, read_index
from tests.faults.packed import GIB
from tests.faults.untrusted import Hostile, sparse, written
from tests.made_up import pictures
from tests.unit.drawing import CPU

SETS = {"images": torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "labels": torch.tensor([0, 1])}
POINTS = torch.arange(12.0).view(4, 3)
DEEP = "[" * 10_000


def tensors(name: str, read: Callable[[Path], object], key: str, text: str, *said: str) -> Hostile:
    """Tensors whose header holds this text under a key, with its checksum."""

    def make(folder: Path) -> Path:
        path = folder / "some.safetensors"
        write_tensors(
            path, SETS if read is read_images else Classifier("resnet18", width=2, classes=2).state_dict(), {key: text}
        )
        return path

    return Hostile(f"tensors: {name}", make, read, said=said)


def classes(name: str, found: str, *said: str) -> Hostile:
    """Images with these class names."""
    return tensors(f"classes are {name}", read_images, "classes", found, *said)


def header(name: str, found: Any, *said: str, read: Callable[[Path], object] | None = None) -> Hostile:
    """A checkpoint of ours with this architecture."""
    text = found if isinstance(found, str) else json.dumps(found)
    return tensors(f"architecture {name}", read or classifier, "architecture", text, *said)


def classifier(path: Path) -> object:
    """As it is attacked."""
    return load_classifier(path, CPU)


def raw(name: str, artifact: str, *said: str) -> Hostile:
    """A safetensors file of ours whose header's words are these."""

    def make(folder: Path) -> Path:
        safetensors.torch.save_file(SETS, folder / "some.safetensors", {"artifact": artifact})
        return folder / "some.safetensors"

    return Hostile(f"tensors: {name}", make, read_images, said=said)


def headed(length: int, text: bytes = b"") -> Callable[[Path], Path]:
    """A safetensors file that tells of a header of that length."""
    return written(struct.pack("<Q", length) + text, "some.safetensors")


def table(name: str, read: Callable[[Path], object], columns: dict[str, Any], *said: str) -> Hostile:
    """A Parquet file of these columns."""

    def make(folder: Path) -> Path:
        pq.write_table(pa.table(columns), folder / "some.parquet", write_page_checksum=True)
        return folder / "some.parquet"

    return Hostile(f"table: {name}", make, read, said=said)


def lists(values: Any, kind: pa.DataType, width: int) -> pa.Array:
    """A column of lists of one width."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values, kind), width)


def repeated(folder: Path) -> Path:
    """Embeddings of 30 million rows, all the same."""
    values = pa.DictionaryArray.from_arrays(np.zeros(30_000_000, np.int8), pa.array([0], pa.int64()))
    pq.write_table(pa.table({"index": values}), folder / "some.parquet")
    return folder / "some.parquet"


def rows(schema: pa.Schema, hole: str) -> dict[str, Any]:
    """Two rows of a schema, in the second of which one value is missing."""
    plain = {pa.string(): "a", pa.bool_(): True}
    return {
        field.name: pa.array(
            [plain.get(field.type, 1), None if field.name == hole else plain.get(field.type, 1)], field.type
        )
        for field in schema
    }


def index(name: str, content: bytes, *said: str, checksum: Callable[[Path], Path] | None = None) -> Hostile:
    """A FAISS index of these bytes, with their checksum or another file in its place."""

    def make(folder: Path) -> Path:
        path = written(content, "some.faiss")(folder)
        checksum_path(path).write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
        if checksum is not None:
            checksum(folder)
        return path

    return Hostile(f"index: {name}", make, lambda path: read_index(path, POINTS), said=said)


def flat(points: torch.Tensor) -> bytes:
    """The exact index of some points."""
    return bytes(faiss.serialize_index(build_index(points, NeighborSearch(index="exact"), CPU)))


def longer(content: bytes) -> bytes:
    """An index whose numbers are said to be 2^38."""
    size = struct.pack("<Q", 12 if content.count(struct.pack("<Q", 12)) else 48)
    return content.replace(size, struct.pack("<Q", 2**38), 1)


def hashes() -> bytes:
    """An index of hashes, which does not hold its vectors."""
    found = faiss.IndexLSH(3, 8)
    found.add(POINTS.numpy())
    return bytes(faiss.serialize_index(found))


def shown(name: str, **words: Any) -> Hostile:
    """Pictures with other words in their header, and the checksum of those; None: without."""

    def make(folder: Path) -> Path:
        pictures(folder, "some.safetensors", 4, ("a", "b"), ("0", "1"), each=1, m=2)
        path = folder / "some.safetensors"
        with safetensors.safe_open(path, framework="pt") as stream:
            before = json.loads(stream.metadata()["artifact"])
            arrays = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118, not a dict
        sha256 = before.pop("sha256")
        del before["header_sha256"]
        changed = {key: value for key, value in {**before, **words}.items() if value is not None}
        sums = {"sha256": sha256, "header_sha256": digest(changed, 64)}
        safetensors.torch.save_file(arrays, path, {"artifact": canonical_json({**changed, **sums})})
        return path

    return Hostile(f"pictures: {name}", make, read_pictures)


FLOATS, WHOLE = pa.float32(), pa.int64()
IDS, TWO = lists([1, 0], WHOLE, 1), pa.array([0, 1])
MOCO = {"kind": "moco", "backbone": "resnet18", "width": 2, "dim": 4, "head_layers": 1}
HOSTILE = (
    Hostile("tensors: a header of 2 GB", headed(2 * GIB), read_images, said=("not a readable safetensors",)),
    Hostile("tensors: a header of 2^63", headed(2**63), read_images, said=("not a readable safetensors",)),
    Hostile("tensors: a header that is no JSON", headed(4, b"{abc"), read_images, said=("not a readable safetensors",)),
    Hostile("tensors: a header of lists", headed(10_000, DEEP.encode()), read_weights, said=("not a readable",)),
    Hostile("tensors: nothing", written(b"", "some.safetensors"), read_images, said=("not a readable safetensors",)),
    raw("words are no JSON", "{", "not a readable safetensors"),
    raw("words are a list", "[1]", "not a readable safetensors"),
    raw("words are lists in lists", DEEP, "not a readable safetensors"),
    raw("words without a checksum", "{}", "differs from its checksum"),
    classes("no JSON", "{", "no JSON text"),
    classes("a number", "3", "must be a list"),
    classes("numbers", "[1, 2]", "must be texts"),
    classes("lists in lists", DEEP, "no JSON text"),
    classes("an object", '{"a": 1}', "must be a list"),
    tensors("no classes", read_images, "architecture", "{}", "names no classes"),
    header("is no JSON", "{", "no JSON text"),
    header("is a list", [1], "must be a dict"),
    header("is lists in lists", DEEP, "no JSON text"),
    header("lacks its width", {"backbone": "resnet18", "classes": 2}, "do not fit"),
    header("has an unknown backbone", {"backbone": "vgg", "width": 2, "classes": 2}, "'vgg' is unknown"),
    header("is of 10^9 channels", {"backbone": "resnet18", "width": 10**9, "classes": 2}, "do not fit"),
    header("is of 20,000 channels", {"backbone": "resnet18", "width": 20_000, "classes": 2}, "do not fit"),
    header("is of -1 channels", {"backbone": "resnet18", "width": -1, "classes": 2}, "do not fit"),
    header("counts classes in words", {"backbone": "resnet18", "width": 2, "classes": "two"}, "do not fit"),
    header("has a mean of words", {"backbone": "resnet18", "width": 2, "classes": 2, "mean": "abc"}, "do not fit"),
    header("of another net", {**MOCO, "kind": "other"}, "not an encoder", read=read_encoder),
    header("lacks all", {"kind": "moco"}, "no encoder is of the architecture", read=read_encoder),
    header("of an encoder of 10^9 channels", {**MOCO, "width": 10**9}, read=read_encoder),
    header("of an encoder of 20,000 channels", {**MOCO, "width": 20_000}, read=read_encoder),
    Hostile("table: a row repeated", repeated, read_embeddings, said=("LSP_CEILINGS=",)),
    table("an index of words", read_embeddings, {"index": ["0"], "embedding": lists([1.0], FLOATS, 1)}, "must count"),
    table("an index of lists", read_embeddings, {"index": [[0]], "embedding": lists([1.0], FLOATS, 1)}, "must count"),
    table("an index with a hole", read_embeddings, {"index": [0, None], "embedding": lists([1.0] * 2, FLOATS, 1)}),
    table("embeddings not finite", read_embeddings, {"index": [0], "embedding": lists([np.inf], FLOATS, 1)}),
    table("a name that is no text", read_embeddings, {"index": [0], "embedding": pa.array([[1.0]], pa.list_(FLOATS))}),
    table("no neighbors", read_neighbors, {"index": TWO[:0], "neighbors": IDS[:0], "distances": IDS[:0]}),
    table(
        "no rows of neighbors",
        read_neighbors,
        {"index": TWO[:0], "neighbors": IDS[:0], "distances": lists([], pa.float64(), 1)},
        "no neighbors",
    ),
    table(
        "distances of another width",
        read_neighbors,
        {"index": TWO, "neighbors": IDS, "distances": lists([0.0] * 4, pa.float64(), 2)},
        "a distance",
    ),
    table(
        "distances below 0",
        read_neighbors,
        {"index": TWO, "neighbors": IDS, "distances": lists([0.0, -1.0], pa.float64(), 1)},
        "a distance",
    ),
    table(
        "distances that are no numbers",
        read_neighbors,
        {"index": TWO, "neighbors": IDS, "distances": lists([0.0, np.nan], pa.float64(), 1)},
        "a distance",
    ),
    table("no structure", read_structure, {"index": TWO, "neighbors": IDS}, "'structure'"),
    table(
        "no shares", read_structure, {"index": TWO, "neighbors": IDS, "structure": lists([2.0, 1.0], FLOATS, 1)}, "sum"
    ),
    *(
        table(f"outcomes without {hole}", read_outcomes, rows(OUTCOME_SCHEMA, hole))
        for hole in ("attack", "robust", "l2")
    ),
    table("outcomes of other columns", read_outcomes, {"attack": ["a"]}, "columns must be"),
    table("L_x without a radius", read_lipschitz, rows(SCHEMA, "radius"), "a value is missing"),
    index("no index", b"no index", "not a readable FAISS index"),
    index("nothing", b"", "not a readable FAISS index"),
    index("half of one", flat(POINTS)[:-20], "not a readable FAISS index"),
    index("a terabyte of numbers", longer(flat(POINTS)), "not a readable FAISS index"),
    index("of hashes", hashes(), "other embeddings"),
    index("of other points", flat(POINTS + 1), "other embeddings"),
    index("of fewer points", flat(POINTS[:2]), "other embeddings"),
    index("a checksum that is no text", flat(POINTS), checksum=written(b"\xff\xfe\0", "some.faiss.sha256")),
    index("an empty checksum", flat(POINTS), checksum=written(b"", "some.faiss.sha256")),
    index("a checksum of 1 GB", flat(POINTS), "LSP_CEILINGS=32", checksum=sparse(GIB, "some.faiss.sha256")),
    shown("classes are a number", classes=3),
    shown("classes are numbers", classes=[1, 2]),
    shown("methods are a word", methods="ab"),
    shown("radii are words", epsilons=["a", "b"]),
    shown("kinds are lists", kinds=[["good"], ["bad"], []]),
    shown("no steps", steps=None),
    shown("a word too many", more=1),
)
