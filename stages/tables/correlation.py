"""Spearman's (1904) rank correlation, and its interval by the bootstrap over the pairs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

LEAST, LEAST_FOR_INTERVAL = 3, 5  # pairs
DRAWS = 10_000
Ranks = NDArray[np.float64]


def spearman(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """rho of n pairs, and its 95 % percentile interval (Efron, 1979): low and high.

    All None below three pairs or where one side is constant; no interval below five. Draws in which one side is
    constant have no correlation and are left out.
    """
    nothing = {"rho": None, "low": None, "high": None}
    if len(pairs) < LEAST:
        return nothing
    values = np.array(pairs, dtype=np.float64)
    rho = float(_correlation(*(rankdata(values[None, :, side], axis=1) for side in (0, 1)))[0])
    if np.isnan(rho):
        return nothing
    if len(pairs) < LEAST_FOR_INTERVAL:
        return {**nothing, "rho": rho}
    drawn = values[np.random.default_rng(0).integers(0, len(pairs), (DRAWS, len(pairs)))]
    low, high = np.nanquantile(_correlation(*(rankdata(drawn[:, :, side], axis=1) for side in (0, 1))), (0.025, 0.975))
    return {"rho": rho, "low": float(low), "high": float(high)}


def _correlation(x: Ranks, y: Ranks) -> Ranks:
    """Pearson's along the rows of (D, n); NaN where one side is constant."""
    x, y = (side - side.mean(axis=1, keepdims=True) for side in (x, y))
    with np.errstate(invalid="ignore"):
        return np.asarray((x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1)))
