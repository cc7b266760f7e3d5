"""Spearman's correlation is scipy's, and its interval covers as it should."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from stages.tables.correlation import spearman


def drawn(n: int, rho: float, seed: int) -> list[tuple[float, float]]:
    generator = np.random.default_rng(seed)
    values = generator.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
    return [(float(x), float(y)) for x, y in values]


@pytest.mark.parametrize("seed", range(5))
def test_rho_is_scipys_also_with_ties(seed: int) -> None:
    for pairs in (drawn(12, 0.5, seed), [(round(x), round(y)) for x, y in drawn(12, 0.5, seed)]):
        assert spearman(pairs)["rho"] == pytest.approx(spearmanr(*zip(*pairs, strict=True)).statistic)


def test_it_hangs_on_the_order_alone() -> None:
    pairs = drawn(20, 0.6, 3)
    assert spearman([(np.exp(x), y**3) for x, y in pairs]) == spearman(pairs)
    turned = spearman([(x, -y) for x, y in pairs])
    found = spearman(pairs)
    assert turned["rho"] == pytest.approx(-found["rho"])
    assert (turned["low"], turned["high"]) == pytest.approx((-found["high"], -found["low"]), abs=0.02)


@pytest.mark.slow
def test_the_interval_covers_the_true_correlation_about_as_often_as_it_says() -> None:
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # of normal variables
    found = [spearman(drawn(30, 0.6, seed)) for seed in range(200)]
    covered = np.mean([one["low"] <= truth <= one["high"] for one in found])
    assert 0.88 <= covered <= 0.99


def test_too_few_or_constant_pairs_have_none_and_few_no_interval() -> None:
    nothing = {"rho": None, "low": None, "high": None}
    assert spearman([]) == spearman([(1, 2), (2, 3)]) == nothing
    assert spearman([(1.0, float(y)) for y in range(9)]) == nothing
    assert spearman([(1, 2), (2, 1), (3, 0), (4, -1)]) == {"rho": pytest.approx(-1.0), "low": None, "high": None}
    assert spearman([(float(x), 2.0 * x) for x in range(6)]) == {"rho": 1.0, "low": 1.0, "high": 1.0}
