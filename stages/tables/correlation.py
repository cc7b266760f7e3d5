"""Spearman's (1904) rank correlation, and its interval by the bootstrap over groups of pairs."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST, LEAST_FOR_INTERVAL = 3, 5  # pairs; groups
DRAWS = 10_000
Floats = NDArray[np.float64]


def spearman(pairs: Sequence[tuple[float, float]], groups: Sequence[Hashable]) -> dict[str, Any]:
    """rho of n pairs, and its 95 % percentile interval (Efron, 1979), which draws whole groups: low and high.

    groups: of each pair the one that it belongs to; pairs of a group need not be independent. All None below three
    pairs or where one side is constant; no interval below five groups. Draws in which one side is constant have no
    correlation and are left out.
    """
    nothing = {"rho": None, "low": None, "high": None}
    if len(pairs) < LEAST:
        return nothing
    x, y = np.array(pairs, dtype=np.float64).T
    rho = float(_weighted(x, y, np.ones((1, len(pairs))))[0])
    if np.isnan(rho):
        return nothing
    place = {group: at for at, group in enumerate(dict.fromkeys(groups))}
    if len(place) < LEAST_FOR_INTERVAL:
        return {**nothing, "rho": rho}
    drawn = np.random.default_rng(0).integers(0, len(place), (DRAWS, len(place)))
    times = np.stack([(drawn == group).sum(axis=1) for group in range(len(place))], axis=1).astype(np.float64)
    low, high = np.nanquantile(_weighted(x, y, times[:, [place[group] for group in groups]]), (0.025, 0.975))
    return {"rho": rho, "low": float(low), "high": float(high)}


def _weighted(x: Floats, y: Floats, times: Floats) -> Floats:
    """(D,) correlations of the ranks of (n,) x and y, each pair being there times (D, n); NaN where one is constant."""
    ranks = [_ranks(side, times) for side in (x, y)]
    total = times.sum(axis=1, keepdims=True)
    a, b = (side - (times * side).sum(axis=1, keepdims=True) / total for side in ranks)
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (times * a * b).sum(axis=1) / np.sqrt((times * a**2).sum(axis=1) * (times * b**2).sum(axis=1))
        )


def _ranks(values: Floats, times: Floats) -> Floats:
    """(D, n) ranks of values that are there times (D, n); equal ones share their mean rank."""
    distinct, place = np.unique(values, return_inverse=True)
    held = times @ (place[:, None] == np.arange(len(distinct)))
    return np.asarray((held.cumsum(axis=1) - (held - 1) / 2)[:, place])
