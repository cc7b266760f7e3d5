"""Small clusters of the neighbor graph, whose images share most of their neighbors (after Chiang et al., 2019).

An epoch's batches are random groups of whole clusters, so that a batch has fewer images in its neighborhoods than
batches of images drawn one by one have.
"""

import torch
from torch import Generator, Tensor


def grow(companions: Tensor, size: int, generator: Generator) -> list[Tensor]:
    """Clusters of `size` images at most, a partition of the rows of companions (N, m), whose entries are rows too.

    Each grows from a random image by the one that adds the fewest images to its neighborhood, those of the cluster and
    all their companions, until it is full or nothing left touches it. Of equals the first that touched it is taken.
    """
    neighbors: list[list[int]] = companions.tolist()
    followers: list[list[int]] = [[] for _ in neighbors]
    for image, near in enumerate(neighbors):
        for other in near:
            followers[other].append(image)
    free = [True] * len(neighbors)
    return [
        torch.tensor(_cluster(first, size, neighbors, followers, free))
        for first in torch.randperm(len(neighbors), generator=generator).tolist()
        if free[first]
    ]


def _cluster(
    first: int, size: int, neighbors: list[list[int]], followers: list[list[int]], free: list[bool]
) -> list[int]:
    """A cluster grown from a free image; its images are no longer free."""
    cluster: list[int] = []
    hood: set[int] = set()
    saved: dict[int, int] = {}  # of what an image would bring along, how much of it is in the neighborhood already
    joining: int | None = first
    while joining is not None:
        cluster.append(joining)
        free[joining] = False
        saved.pop(joining, None)
        for image in (joining, *neighbors[joining]):
            if image not in hood:
                hood.add(image)
                for other in (image, *followers[image]):
                    if free[other]:
                        saved[other] = saved.get(other, 0) + 1
        joining = max(saved, key=saved.__getitem__) if saved and len(cluster) < size else None
    return cluster
