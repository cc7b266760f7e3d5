"""A smaller set with the classes in proportion."""

import numpy as np
import torch
from numpy.typing import NDArray

from stages.core.errors import ConfigError


def quotas(counts: NDArray[np.int64], keep: int) -> NDArray[np.int64]:
    """How many of each class (K,) to keep, `keep` in all: the largest-remainder method (Hamilton).

    In whole numbers, so that no rounding decides; equal remainders go to the lower class.
    """
    total = int(counts.sum())
    shares, remainders = np.divmod(counts * keep, total)
    missing = keep - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return shares


def proportional_rows(
    labels: NDArray[np.int64], keep: int | None, generator: torch.Generator, what: str
) -> NDArray[np.int64]:
    """Rows to keep, in their original order: all for None, else `keep` of them with the classes in proportion.

    labels (N,); the rows of each class are drawn with the generator. Raises ConfigError for more than there are.
    """
    if keep is None:
        return np.arange(len(labels))
    if keep > len(labels):
        raise ConfigError(f"{what}: {keep} is more than the {len(labels)} there are; ask for fewer or leave it out")
    classes, counts = np.unique(labels, return_counts=True)
    kept = []
    for label, quota in zip(classes, quotas(counts, keep), strict=True):
        members = np.flatnonzero(labels == label)
        order = torch.randperm(len(members), generator=generator, device=generator.device).cpu().numpy()
        kept.append(members[order[:quota]])
    return np.sort(np.concatenate(kept))
