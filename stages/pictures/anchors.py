"""Which anchors show good, typical and bad neighborhoods: by how many of their companions carry their label."""

from typing import NamedTuple

import torch
from torch import Tensor

from stages.core.artifacts import ImageSet, Neighbors, Structure
from stages.core.pictures import KINDS


class Anchors(NamedTuple):
    """Kinds (A) and ids (A,) int64; companions (A, m) int64, distances float64 and P_x float32, as they are stored."""

    kinds: tuple[str, ...]
    ids: Tensor
    companions: Tensor
    distances: Tensor
    vectors: Tensor

    def images(self, train: ImageSet) -> Tensor:
        """Each anchor and then its companions: uint8 (A, 1 + m, 3, H, W)."""
        return train.images[torch.cat([self.ids.unsqueeze(1), self.companions], dim=1)]


def no_anchors() -> Anchors:
    """What is shown where no structure is at hand."""
    none = torch.zeros(0, 0)
    return Anchors((), torch.zeros(0, dtype=torch.int64), none.long(), none.double(), none)


def choose(labels: Tensor, structure: Structure, searched: Neighbors | None, each: int) -> Anchors:
    """At most `each` anchors of each kind; labels: (N,) of the training images."""
    found = by_kind(labels, structure.companions, each)
    ids = torch.tensor([index for members in found.values() for index in members], dtype=torch.int64)
    companions = structure.companions[ids]
    kinds = tuple(kind for kind, members in found.items() for _ in members)
    return Anchors(kinds, ids, companions, _distances(ids, companions, searched), structure.vectors[ids])


def by_kind(labels: Tensor, companions: Tensor, each: int) -> dict[str, list[int]]:
    """Ids by kind: as many companions carry the anchor's label as any anchor's do, as the median one's, or as few.

    Those nearest to that number go first, of equal ones the lower index; but of a class only its first, as long as
    there are other classes, and no anchor twice: good ones are taken first, then bad ones. labels: (N,); companions:
    (N, m).
    """
    agreeing = (labels[companions] == labels.unsqueeze(1)).sum(dim=1)
    wanted = {"good": agreeing.max(), "bad": agreeing.min(), "typical": agreeing.median()}
    found: dict[str, list[int]] = {}
    for kind, number in wanted.items():
        taken = {index for members in found.values() for index in members}
        order = (agreeing - number).abs().sort(stable=True).indices.tolist()
        found[kind] = _of_different_classes([index for index in order if index not in taken], labels, each)
    return {kind: found[kind] for kind in KINDS}


def _of_different_classes(order: list[int], labels: Tensor, each: int) -> list[int]:
    """The first of each class in this order, then what comes first of the rest."""
    first: dict[int, int] = {}
    for index in order:
        first.setdefault(int(labels[index]), index)
    return list(dict.fromkeys([*first.values(), *order]))[:each]


def _distances(ids: Tensor, companions: Tensor, searched: Neighbors | None) -> Tensor:
    """(A, m) float64 of the searched lists; NaN for a companion that they do not hold."""
    if searched is None:
        return torch.full(companions.shape, torch.nan, dtype=torch.float64)
    same = companions.unsqueeze(2) == searched.ids[ids].unsqueeze(1)  # (A, m, k)
    listed = searched.distances[ids].gather(1, same.int().argmax(dim=2))
    return listed.where(same.any(dim=2), torch.nan)
