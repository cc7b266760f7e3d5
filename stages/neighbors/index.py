"""The FAISS index of the embeddings (Douze et al., 2024): built once, and read back only if its checksum matches."""

import hashlib
import math
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from torch import Tensor

from stages.core.ceilings import read_below
from stages.core.config.structure import NeighborSearch
from stages.core.errors import ArtifactError, StageError
from stages.core.files import atomic, write_text
from stages.core.job.progress import log_line
from stages.core.manifests import require_file

POINTS_A_CELL = 39
"""FAISS's own least number of training points for each k-means centroid."""

GPU_LIMIT = 2048
"""The most candidates, and the most probes, that FAISS's GPU kernels take."""

REBUILD = "build it again (`snakemake -R index`)"

SAFE_NORMS = (2.0**-30, 2.0**50)
"""Where the largest norm may lie so that float32 holds the squares FAISS computes, with digits to spare."""

NUMBERS_AT_ONCE = 2**23
"""Float64 numbers held in memory at a time: 64 MiB."""


def norms(embeddings: Tensor) -> Tensor:
    """Euclidean norms (N,) float64 of embeddings (N, D), a part at a time."""
    rows = max(1, NUMBERS_AT_ONCE // embeddings.shape[1])
    return torch.cat([part.double().norm(dim=1) for part in embeddings.split(rows)])


def scale_exponent(embeddings: Tensor) -> int:
    """k for the 2^k by which embeddings (N, D) are indexed: 0, or what brings the largest norm just below 1.

    FAISS squares norms in float32, where those of 2e19 overflow and those of 1e-23 vanish. A power of 2 changes no
    digit, and neither the order of distances nor P_x changes with a scale. Zero vectors are vectors like any other.
    Raises StageError for embeddings that are not finite.
    """
    largest = float(norms(embeddings).max())
    if not math.isfinite(largest):
        raise StageError("embeddings: a value is not finite; build them again with `snakemake -R embed`")
    inside = largest == 0 or SAFE_NORMS[0] <= largest <= SAFE_NORMS[1]
    return 0 if inside else -math.frexp(largest)[1]


def scaled(embeddings: Tensor, exponent: int) -> Tensor:
    """Embeddings (N, D) float32 times 2^exponent, in two steps that float32 holds; as they are for 0."""
    if exponent == 0:
        return embeddings
    half = exponent // 2
    return embeddings.mul(2.0**half).mul_(2.0 ** (exponent - half))


def build_index(embeddings: Tensor, settings: NeighborSearch, device: torch.device) -> Any:
    """A CPU index of embeddings (N, D) float32, to the power of 2 of `scale_exponent`; vector i has id i.

    exact: all vectors as they are. ivf: cells around k-means centroids (FAISS's fixed seed), trained on the GPU where
    there is one; their number is lowered, with a word, until each has 39 vectors to learn from.
    """
    points = scaled(embeddings, scale_exponent(embeddings)).numpy()
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
        log_line(
            f"neighbors: {images} images train {most} cells at {POINTS_A_CELL} each; using {most}, not lists: {wanted}"
        )
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
        require_file(needed)
    content = path.read_bytes()
    if read_below(checksum_path(path)).split()[:1] != [hashlib.sha256(content).hexdigest().encode()]:
        raise ArtifactError(f"{path}: the content differs from its checksum; {REBUILD}")
    points = scaled(embeddings, scale_exponent(embeddings)).numpy()
    faiss.set_deserialization_vector_byte_limit(len(content))  # no part is larger than the whole
    try:
        index = faiss.deserialize_index(np.frombuffer(content, dtype=np.uint8))
        found = index.reconstruct_n(0, index.ntotal) if (index.ntotal, index.d) == points.shape else None
    except (RuntimeError, ValueError, AssertionError, MemoryError) as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise ArtifactError(f"{path}: not a readable FAISS index ({reason}); {REBUILD}") from error
    if found is None or not np.array_equal(found, points):
        raise ArtifactError(f"{path}: was built from other embeddings; {REBUILD}")
    return index
