"""Which companions an epoch's batches forward, where an image that several anchors have is forwarded once."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shared:
    """Of one batch: companions to forward (C,), and where in [anchors, these] each anchor's companions are (B, m)."""

    ids: Tensor
    places: Tensor


def share(order: Tensor, companions: Tensor, batch_size: int, *, anchors_too: bool) -> list[Shared]:
    """What the batches of an epoch share; order: the epoch's anchors (A,), companions: (N, m) of all images.

    anchors_too: a companion that is an anchor of its batch is not forwarded beside it. What a step is given lies on the
    device and has its size known, so that no step waits for either.
    """
    anchors, near = order.cpu(), companions.cpu()
    row = torch.full((len(near),), -1)
    ids, places = [], []
    for batch in anchors.split(batch_size):
        wanted = near[batch].unique()
        if anchors_too:
            row[batch] = torch.arange(len(batch))
            wanted = wanted[row[wanted] < 0]
        row[wanted] = len(batch) + torch.arange(len(wanted))
        ids.append(wanted)
        places.append(row[near[batch]])
        row[batch] = -1
        row[wanted] = -1
    ends = torch.tensor([0, *(len(part) for part in ids)]).cumsum(0).tolist()
    there, found = torch.cat(ids).to(order.device), torch.cat(places).to(order.device)
    parts = found.split(batch_size)
    return [Shared(there[start:end], part) for (start, end), part in zip(pairwise(ends), parts, strict=True)]
