"""Small sets of embeddings and their true neighbors, for tests of the search."""

from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from stages.core.artifacts import Neighbors
from stages.core.config.structure import NeighborSearch
from stages.neighbors.__main__ import find
from stages.neighbors.index import build_index
from tests.unit.drawing import CPU, seeded


def brute_force(embeddings: Tensor, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """(ids, distances) by SciPy in float64: every other image by (distance, id), one anchor at a time."""
    points = embeddings.double().numpy()
    ids, distances = [], []
    for anchor, row in enumerate(cdist(points, points)):
        ranked = [(distance, other) for other, distance in enumerate(row) if other != anchor]
        nearest = sorted(ranked)[:depth]
        ids.append([other for _, other in nearest])
        distances.append([distance for distance, _ in nearest])
    return np.array(ids), np.array(distances)


def embeddings_with_duplicates(images: int = 300, dimensions: int = 12, copies: int = 60) -> Tensor:
    """Unit vectors, the last `copies` of which repeat the first; two more are a pair."""
    points = torch.nn.functional.normalize(torch.randn(images, dimensions, generator=seeded(3)), dim=1)
    points[-copies:] = points[0]
    points[5] = points[9]
    return points


def clusters(images: int = 800, dimensions: int = 8) -> Tensor:
    generator = seeded(4)
    centers = torch.randn(20, dimensions, generator=generator)
    return centers[torch.arange(images) % 20] + 0.9 * torch.randn(images, dimensions, generator=generator)


def find_all(embeddings: Tensor, **settings: object) -> tuple[Neighbors, dict[str, Any]]:
    chosen = NeighborSearch.model_validate(settings)
    return find(build_index(embeddings, chosen, CPU), embeddings, chosen, CPU)
