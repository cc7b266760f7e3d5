"""What is worth knowing about neighbor lists before anything is trained on them."""

import hashlib
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from stages.core.artifacts import UNLABELLED, Neighbors
from stages.core.errors import StageError

PURITY_NEIGHBORS = 8


def sample_anchors(images: int, wanted: int) -> Tensor:
    """At most `wanted` ids spread evenly over the images: (A,) int64, ascending, distinct."""
    anchors = min(images, wanted)
    return torch.arange(anchors) * images // anchors


def recall(found: Neighbors, truth: Neighbors) -> float:
    """Share of the listed neighbors (A, k) that are no farther than the true k-th; of several as near, any counts."""
    return float((found.distances <= truth.distances[:, -1:]).double().mean())


def duplicates(embeddings: Tensor) -> tuple[int, int]:
    """(pairs of exactly equal rows of embeddings (N, D), rows that equal another)."""
    rows = (embeddings + 0.0).numpy()  # so that -0.0 and 0.0 are one
    copies = Counter(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows).values()
    return sum(count * (count - 1) // 2 for count in copies), sum(count for count in copies if count > 1)


def require_a_label_each(labels: Tensor, embeddings: Tensor) -> None:
    """Raise unless there is a label (N,) for every embedding (N, D)."""
    if len(labels) != len(embeddings):
        raise StageError(
            f"--labels-from holds {len(labels)} images and --embeddings {len(embeddings)}; give the images embedded"
        )


def label_purity(neighbors: Tensor, labels: Tensor) -> float | None:
    """Mean share of the first 8 neighbors (N, k) that have their anchor's label (N,); None without labels."""
    labelled = labels != UNLABELLED
    if not bool(labelled.any()):
        return None
    same = labels[neighbors[:, :PURITY_NEIGHBORS]] == labels.unsqueeze(1)
    return float(same[labelled].double().mean())


def distance_facts(distances: Tensor) -> dict[str, float]:
    """Range and mean of distances (N, k), and their coefficient of variation within a list, averaged over anchors."""
    means = distances.mean(dim=1)
    spread = torch.where(means > 0, distances.std(dim=1, correction=0) / means, 0.0)
    return {
        "distance_min": float(distances.min()),
        "distance_mean": float(means.mean()),
        "distance_max": float(distances.max()),
        "coefficient_of_variation": float(spread.mean()),
    }


def neighbor_facts(embeddings: Tensor, neighbors: Neighbors, labels: Tensor) -> dict[str, Any]:
    """Facts of neighbor lists (N, k) over embeddings (N, D) with labels (N,): duplicates, purity, distances."""
    pairs, anchors = duplicates(embeddings)
    return {
        "duplicate_pairs": pairs,
        "duplicate_anchors": anchors,
        "purity_neighbors": min(PURITY_NEIGHBORS, neighbors.ids.shape[1]),
        "label_purity": label_purity(neighbors.ids, labels),
        **distance_facts(neighbors.distances),
    }
