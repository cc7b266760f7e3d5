"""Every artifact that one stage hands to another: its schema, its reader and its writer.

Tensors are safetensors with a SHA-256 of their content in the header, tables are Parquet with page checksums.
A reader raises ArtifactError for a file that is absent, truncated, altered or out of its schema.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from stages.core.errors import ArtifactError
from stages.core.files import atomic, canonical_json, digest
from stages.core.manifests import require_file
from stages.core.parquet import read_table, write_table

UNLABELLED = -1
REMAKE = "have the stage that wrote it make it again"
UNREADABLE = (
    *(safetensors.SafetensorError, OSError, ValueError, RuntimeError),
    *(LookupError, TypeError, AttributeError, MemoryError),
)


@dataclass(frozen=True)
class ImageSet:
    """Decoded images (N, 3, H, W) uint8, labels (N,) int64 (-1: unlabelled) and the class names by label."""

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def content_hash(self) -> str:
        """SHA-256 of pixels and labels: the same whichever source, format or class spelling they came by."""
        return _content_hash({"images": self.images, "labels": self.labels})


@dataclass(frozen=True)
class Structure:
    """Anchors' companions (N, m) int64 and structure vectors P_x (N, m) float32, rows summing to 1 (Eq. 2)."""

    companions: Tensor
    vectors: Tensor


@dataclass(frozen=True)
class Neighbors:
    """Nearest first: ids (N, k) int64 and Euclidean distances (N, k) float64; no anchor lists itself."""

    ids: Tensor
    distances: Tensor


def write_images(path: Path, images: ImageSet) -> None:
    """Write an image set after checking it."""
    check_images(images, str(path))
    write_tensors(
        path, {"images": images.images, "labels": images.labels}, {"classes": json.dumps(list(images.classes))}
    )


def read_images(path: Path) -> ImageSet:
    """Read an image set, checksum, shape and label range verified."""
    tensors, metadata = read_tensors(path, {"images", "labels"})
    classes = _of_header(path, metadata, "classes", list)
    if not all(isinstance(name, str) for name in classes):
        raise ArtifactError(f"{path}: the header's classes must be texts; {REMAKE}")
    images = ImageSet(tensors["images"], tensors["labels"], tuple(classes))
    check_images(images, str(path))
    return images


def require_labels(test: ImageSet, classes: int, source: str) -> None:
    """ArtifactError unless every image is labelled with one of a model's classes. source: the file's name."""
    if len(test.classes) != classes:
        raise ArtifactError(
            f"{source}: the images have {len(test.classes)} classes and the model {classes}; use a checkpoint of the"
            " same data set"
        )
    if int(test.labels.min()) < 0:
        raise ArtifactError(f"{source}: the images carry no labels; use a labelled test set")


def check_images(images: ImageSet, name: str) -> None:
    """Raise unless images are uint8 (N, 3, H, W), and labels (N,) int64 name a class or are all -1."""
    shape, labels = tuple(images.images.shape), images.labels
    if images.images.dtype != torch.uint8 or len(shape) != 4 or shape[1] != 3 or shape[0] == 0:
        raise ArtifactError(
            f"{name}: images must be uint8 (N, 3, H, W), N > 0; these are {images.images.dtype} {shape}"
        )
    if labels.dtype != torch.int64 or tuple(labels.shape) != shape[:1]:
        raise ArtifactError(
            f"{name}: labels must be int64 ({shape[0]},); these are {labels.dtype} {tuple(labels.shape)}"
        )
    if bool((labels == UNLABELLED).all()):
        return
    low, high, classes = int(labels.min()), int(labels.max()), len(images.classes)
    if low < 0 or high >= classes:
        raise ArtifactError(
            f"{name}: labels must lie in [0, {classes}) for {classes} classes; they span [{low}, {high}]"
        )


def write_weights(path: Path, weights: dict[str, Tensor], architecture: dict[str, Any]) -> None:
    """Write a model's weights with the architecture that holds them, a JSON object, in the header."""
    write_tensors(path, weights, {"architecture": json.dumps(architecture, sort_keys=True)})


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read (weights, architecture), checksum verified."""
    tensors, metadata = read_tensors(path, set())
    return tensors, _of_header(path, metadata, "architecture", dict)


def _of_header(path: Path, metadata: dict[str, str], key: str, kind: type[Any]) -> Any:
    """What a header's JSON text under `key` holds, a list or an object as `kind` asks."""
    try:
        found = json.loads(metadata[key])
    except KeyError as error:
        raise ArtifactError(f"{path}: the header names no {key}; {REMAKE}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{path}: the header's {key} is no JSON text ({error}); {REMAKE}") from error
    if not isinstance(found, kind):
        raise ArtifactError(f"{path}: the header's {key} must be a {kind.__name__}; {REMAKE}")
    return found


def write_embeddings(path: Path, embeddings: Tensor) -> None:
    """Write embeddings (N, D) float32, row i of image i."""
    if not bool(embeddings.isfinite().all()):
        raise ArtifactError(f"{path}: an embedding is not finite; the feature network diverged, lower its lr")
    write_table(path, pa.table({"index": np.arange(len(embeddings)), "embedding": _list_column(embeddings)}))


def read_embeddings(path: Path) -> Tensor:
    """Read embeddings (N, D) float32."""
    embeddings = _matrix(path, read_indexed(path), "embedding", pa.float32())
    if not bool(embeddings.isfinite().all()):
        raise ArtifactError(f"{path}: an embedding is not finite; rebuild it with `snakemake -R embed`")
    return embeddings


def write_neighbors(path: Path, neighbors: Neighbors) -> None:
    """Write the neighbor lists and their distances."""
    check_neighbors(neighbors.ids, len(neighbors.ids), str(path))
    columns = {
        "index": np.arange(len(neighbors.ids)),
        "neighbors": _list_column(neighbors.ids),
        "distances": _list_column(neighbors.distances),
    }
    write_table(path, pa.table(columns))


def read_neighbors(path: Path) -> Neighbors:
    """Read neighbor lists and distances, ids checked."""
    table = read_indexed(path)
    neighbors = Neighbors(
        _matrix(path, table, "neighbors", pa.int64()), _matrix(path, table, "distances", pa.float64())
    )
    check_neighbors(neighbors.ids, len(neighbors.ids), str(path))
    if neighbors.distances.shape != neighbors.ids.shape or not bool((neighbors.distances >= 0).all()):
        raise ArtifactError(f"{path}: needs a distance of 0 or more for each neighbor; {REMAKE}")
    return neighbors


def write_structure(path: Path, structure: Structure) -> None:
    """Write companions and structure vectors after checking them."""
    _check_structure(structure, str(path))
    columns = {
        "index": np.arange(len(structure.companions)),
        "neighbors": _list_column(structure.companions),
        "structure": _list_column(structure.vectors),
    }
    write_table(path, pa.table(columns))


def read_structure(path: Path) -> Structure:
    """Read companions and structure vectors, ids and row sums checked."""
    table = read_indexed(path)
    structure = Structure(
        _matrix(path, table, "neighbors", pa.int64()), _matrix(path, table, "structure", pa.float32())
    )
    _check_structure(structure, str(path))
    return structure


def _check_structure(structure: Structure, name: str) -> None:
    check_neighbors(structure.companions, len(structure.companions), name)
    if structure.vectors.shape != structure.companions.shape:
        raise ArtifactError(
            f"{name}: {tuple(structure.vectors.shape)} structure vectors for {tuple(structure.companions.shape)}"
            " neighbors; rebuild with `snakemake -R structure`"
        )
    sums = structure.vectors.double().sum(dim=1)
    if not bool(((sums - 1).abs() < 1e-4).all()) or bool((structure.vectors < 0).any()):
        raise ArtifactError(
            f"{name}: structure vectors must be non-negative and sum to 1; rebuild with `snakemake -R structure`"
        )


def check_neighbors(neighbors: Tensor, num_images: int, name: str) -> None:
    """Raise unless neighbors (N, m), N and m above 0, holds valid ids and no anchor lists itself."""
    if neighbors.numel() == 0:
        raise ArtifactError(
            f"{name}: no neighbors; it is of shape {tuple(neighbors.shape)}; rebuild with `snakemake -R neighbors`"
        )
    if int(neighbors.min()) < 0 or int(neighbors.max()) >= num_images:
        raise ArtifactError(
            f"{name}: neighbor ids must lie in [0, {num_images}); rebuild with `snakemake -R neighbors`"
        )
    if bool((neighbors == torch.arange(len(neighbors)).unsqueeze(1)).any()):
        raise ArtifactError(f"{name}: an anchor lists itself as its neighbor; rebuild with `snakemake -R neighbors`")


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write named tensors as safetensors, with the SHA-256 of their content in the header."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One key only: safetensors writes several in random order, and equal content should give equal files.
    checks = {"sha256": _content_hash(stored), "header_sha256": digest(metadata, 64)}
    with atomic(path) as temporary:
        safetensors.torch.save_file(stored, temporary, {"artifact": canonical_json({**metadata, **checks})})


def read_tensors(path: Path, names: set[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read (tensors, header metadata) of a file that must hold `names`, its checksum verified."""
    require_file(path)
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            metadata = dict(json.loads((stream.metadata() or {}).get("artifact", "{}")))
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118, not a dict
    except UNREADABLE as error:
        raise ArtifactError(f"{path}: not a readable safetensors file ({error}); {REMAKE}") from error
    if missing := names - tensors.keys():
        raise ArtifactError(f"{path}: holds no tensor named {', '.join(sorted(missing))}")
    described = {key: value for key, value in metadata.items() if key not in ("sha256", "header_sha256")}
    if metadata.get("sha256") != _content_hash(tensors) or metadata.get("header_sha256") != digest(described, 64):
        raise ArtifactError(f"{path}: the content differs from its checksum; {REMAKE}")
    return tensors, described


def read_indexed(path: Path) -> pa.Table:
    """Read a table whose column `index` must count 0, 1, 2, ..."""
    table = read_table(path)
    if "index" not in table.column_names:
        raise ArtifactError(f"{path}: has no column 'index'; it holds {table.column_names}")
    index = table.column("index")
    if index.type != pa.int64() or index.null_count or not np.array_equal(index.to_numpy(), np.arange(len(table))):
        raise ArtifactError(f"{path}: column 'index' must count from 0 in steps of 1; rebuild the file")
    return table


def _list_column(matrix: Tensor) -> pa.Array:
    values = matrix.detach().cpu().contiguous()
    return pa.FixedSizeListArray.from_arrays(pa.array(values.flatten().numpy()), values.shape[1])


def _matrix(path: Path, table: pa.Table, name: str, wanted: pa.DataType) -> Tensor:
    if name not in table.column_names or not pa.types.is_fixed_size_list(table.schema.field(name).type):
        raise ArtifactError(f"{path}: needs a fixed-size list column '{name}'; it holds {table.schema.names}")
    column, width = table.column(name).combine_chunks(), table.schema.field(name).type.list_size
    stored = table.schema.field(name).type.value_type
    if stored != wanted or column.null_count or column.flatten().null_count:
        raise ArtifactError(f"{path}: column '{name}' must hold {wanted} and no nulls; it holds {stored}")
    return torch.from_numpy(column.flatten().to_numpy(zero_copy_only=False).reshape(len(table), width).copy())


def _content_hash(tensors: dict[str, Tensor]) -> str:
    state = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        state.update(tensor.flatten().view(torch.uint8).numpy().data)
    return state.hexdigest()
