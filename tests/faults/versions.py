"""Every kind of file that is written: how a version of one is written, read back, and known for what it is.

There are two versions, of other values throughout, so that a file mixed of both is neither.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import torch

from stages.core.artifacts import (
    ImageSet,
    Neighbors,
    Structure,
    read_embeddings,
    read_images,
    read_neighbors,
    read_structure,
    read_weights,
    write_embeddings,
    write_images,
    write_neighbors,
    write_structure,
    write_weights,
)
from stages.core.errors import ArtifactError
from stages.core.files import write_json, write_text
from stages.core.job.resume import load_state, save_state
from stages.core.lipschitz import SCHEMA, read_lipschitz, write_lipschitz
from stages.core.outcomes import OUTCOME_SCHEMA, read_outcomes, write_outcomes
from stages.core.pictures import read_pictures
from stages.neighbors.index import read_index, write_index
from tests.made_up import pictures
from tests.unit.drawing import labelled_images

ROWS, WIDTH, KEY = 300, 8, "this run"
CPU = torch.device("cpu")
VERSIONS = (0, 1)


@dataclass(frozen=True)
class Kind:
    """write: one of VERSIONS to a path; read: what a path holds, to be compared."""

    write: Callable[[Path, int], object]
    read: Callable[[Path], Any]


def _matrix(version: int) -> torch.Tensor:
    """(ROWS, WIDTH) float32."""
    return torch.rand(ROWS, WIDTH, generator=torch.Generator().manual_seed(version))


def _companions(version: int) -> torch.Tensor:
    """(ROWS, WIDTH) ids, none of them the row's own."""
    steps = torch.arange(1, WIDTH + 1) + version * WIDTH
    return (torch.arange(ROWS).unsqueeze(1) + steps) % ROWS


def _images(version: int) -> ImageSet:
    return labelled_images(20, version)


def _rows(schema: pa.Schema, version: int) -> pa.Table:
    """A table of ROWS rows, the same value of a version's in every cell."""
    values = {"string": f"attack {version}", "bool": bool(version)}
    return pa.table({field.name: [values.get(str(field.type), version)] * ROWS for field in schema}).cast(schema)


def _state(path: Path) -> dict[str, Any]:
    state = load_state(path, KEY, CPU)
    if state is None:
        raise ArtifactError(f"{path}: no state of the run")
    return state


def _pictures(path: Path, version: int) -> None:
    pictures(path.parent, path.name, 8, ("a", "b"), ("one", "other"), each=1 + version)


def _read_index(path: Path) -> Any:
    """The vectors of the index, which of two it may be."""
    for version in VERSIONS:
        with contextlib.suppress(ArtifactError):
            return read_index(path, _matrix(version)).reconstruct_n(0, ROWS)
    raise ArtifactError(f"{path}: no index of either")


def _index(path: Path, version: int) -> None:
    index = faiss.IndexFlatL2(WIDTH)
    index.add(_matrix(version).numpy())
    write_index(path, index)


KINDS: Mapping[str, Kind] = {
    "images": Kind(lambda path, version: write_images(path, _images(version)), read_images),
    "weights": Kind(
        lambda path, version: write_weights(path, {"kernel": _matrix(version)}, {"width": version}), read_weights
    ),
    "embeddings": Kind(lambda path, version: write_embeddings(path, _matrix(version)), read_embeddings),
    "index": Kind(_index, _read_index),
    "neighbors": Kind(
        lambda path, version: write_neighbors(path, Neighbors(_companions(version), _matrix(version).double())),
        read_neighbors,
    ),
    "structure": Kind(
        lambda path, version: write_structure(path, Structure(_companions(version), _matrix(version).softmax(1))),
        read_structure,
    ),
    "outcomes": Kind(lambda path, version: write_outcomes(path, _rows(OUTCOME_SCHEMA, version)), read_outcomes),
    "lipschitz": Kind(lambda path, version: write_lipschitz(path, _rows(SCHEMA, version)), read_lipschitz),
    "pictures": Kind(_pictures, read_pictures),
    "record": Kind(lambda path, version: write_json(path, [version] * ROWS), lambda path: json.loads(path.read_text())),
    "text": Kind(lambda path, version: write_text(path, f"{version}\n" * ROWS), Path.read_text),
    "resume state": Kind(lambda path, version: save_state(path, KEY, {"weights": _matrix(version)}), _state),
}


def plain(value: Any) -> Any:
    """What a reader returned, so that it can be compared."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, pa.Table):
        return value.to_pydict()
    return repr(value.tolist()) if isinstance(value, torch.Tensor | np.ndarray) else value
