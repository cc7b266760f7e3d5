"""The FAISS index of the embeddings (Douze et al., 2024): built once, and read back only if its checksum matches."""

import hashlib
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from torch import Tensor

from stages.core.config import NeighborSearch
from stages.core.errors import ArtifactError
from stages.core.files import atomic, write_text
from stages.core.progress import say

POINTS_A_CELL = 39
"""FAISS's own least number of training points for each k-means centroid."""

GPU_LIMIT = 2048
"""The most candidates, and the most probes, that FAISS's GPU kernels take."""


def build_index(embeddings: Tensor, settings: NeighborSearch, device: torch.device) -> Any:
    """A CPU index of embeddings (N, D) float32, in which vector i has id i.

    exact: all vectors as they are. ivf: cells around k-means centroids (FAISS's fixed seed), trained on the GPU where
    there is one; their number is lowered, with a word, until each has 39 vectors to learn from.
    """
    points = embeddings.numpy()
    if settings.index == "exact":
        index = faiss.IndexFlatL2(points.shape[1])
        index.add(points)
        return index
    index = on_gpu(faiss.index_factory(points.shape[1], f"IVF{cell_count(len(points), settings.lists)},Flat"), device)
    index.train(points)
    index.add(points)
    return faiss.index_gpu_to_cpu(index) if gpu_is_usable(device) else index


def cell_count(images: int, wanted: int) -> int:
    """`wanted` cells, or as many as leave each 39 of the images; a message says when it is fewer."""
    most = max(1, images // POINTS_A_CELL)
    if wanted > most:
        say(f"neighbors: {images} images train {most} cells at {POINTS_A_CELL} each; using {most}, not lists: {wanted}")
    return min(wanted, most)


def gpu_is_usable(device: torch.device) -> bool:
    """Whether the device is a GPU that this build of FAISS can use."""
    return device.type == "cuda" and hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def on_gpu(index: Any, device: torch.device, candidates: int = 1) -> Any:
    """The index moved to the GPU; as it is where there is none, or a search for so many candidates is beyond it."""
    if not gpu_is_usable(device) or max(candidates, cells(index)) > GPU_LIMIT:
        return index
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), device.index or 0, index)


def cells(index: Any) -> int:
    """Number of cells of an IVF index; 1 for an exact one."""
    return int(getattr(index, "nlist", 1))


def checksum_path(path: Path) -> Path:
    """Where the SHA-256 of an index file stands: beside it, as `sha256sum --check` reads it."""
    return path.with_name(f"{path.name}.sha256")


def write_index(path: Path, index: Any) -> None:
    """Write a CPU index, and its checksum beside it."""
    content = faiss.serialize_index(index).tobytes()
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    write_text(checksum_path(path), f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")


def read_index(path: Path, embeddings: Tensor) -> Any:
    """Read an index: the very bytes whose SHA-256 matches, and only if it holds these embeddings (N, D) in order.

    ArtifactError: a file is missing, the checksum differs, or the index holds other embeddings.
    """
    for needed in (path, checksum_path(path)):
        if not needed.is_file():
            raise ArtifactError(f"{needed}: no such file; run `python -m stages.neighbors build` first")
    content = path.read_bytes()
    if checksum_path(path).read_text(encoding="utf-8").split()[:1] != [hashlib.sha256(content).hexdigest()]:
        raise ArtifactError(f"{path}: the content differs from its checksum; build it again (`snakemake -R index`)")
    index = faiss.deserialize_index(np.frombuffer(content, dtype=np.uint8))
    shape = (index.ntotal, index.d)
    if shape != tuple(embeddings.shape) or not np.array_equal(index.reconstruct_n(0, shape[0]), embeddings.numpy()):
        raise ArtifactError(f"{path}: was built from other embeddings; build it again (`snakemake -R index`)")
    return index
