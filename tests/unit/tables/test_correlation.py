"""Spearman's correlation is scipy's, and its interval covers as it should, also where seeds of a method are alike."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import spearmanr

from stages.tables.correlation import spearman

Pairs = list[tuple[float, float]]


def drawn(n: int, rho: float, seed: int) -> Pairs:
    generator = np.random.default_rng(seed)
    values = generator.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
    return [(float(x), float(y)) for x, y in values]


def with_seeds(pairs: Pairs, seeds: int, spread: float) -> tuple[Pairs, list[int]]:
    """Each pair, a method's, `seeds` times with noise of its own; and which method each is of."""
    noise = np.random.default_rng(len(pairs)).normal(0, spread, (len(pairs), seeds, 2))
    told = [(x + float(dx), y + float(dy)) for (x, y), of in zip(pairs, noise, strict=True) for dx, dy in of]
    return told, [method for method in range(len(pairs)) for _ in range(seeds)]


def apart(pairs: Sequence[object]) -> range:
    return range(len(pairs))


@pytest.mark.parametrize("seed", range(5))
def test_rho_is_scipys_also_with_ties(seed: int) -> None:
    for pairs in (drawn(12, 0.5, seed), [(round(x), round(y)) for x, y in drawn(12, 0.5, seed)]):
        assert spearman(pairs, apart(pairs))["rho"] == pytest.approx(spearmanr(*zip(*pairs, strict=True)).statistic)


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_that_of_scipys_rho_over_groups_drawn_whole(seed: int) -> None:
    pairs, groups = with_seeds(drawn(20, 0.6, seed), 3, 0.3)
    pairs, groups = [(round(x, 1), round(y, 1)) for x, y in pairs[:-2]], groups[:-2]  # with ties, groups of two sizes
    by_group = [[pair for pair, of in zip(pairs, groups, strict=True) if of == group] for group in range(20)]
    chance = np.random.default_rng(seed + 100)
    samples = [sum((by_group[at] for at in chance.integers(0, 20, 20)), Pairs()) for _ in range(3000)]
    low, high = np.quantile([spearmanr(*zip(*sample, strict=True)).statistic for sample in samples], (0.025, 0.975))
    found = spearman(pairs, groups)
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.03)


def test_it_hangs_on_the_order_alone() -> None:
    pairs = drawn(20, 0.6, 3)
    assert spearman([(np.exp(x), y**3) for x, y in pairs], apart(pairs)) == spearman(pairs, apart(pairs))
    turned = spearman([(x, -y) for x, y in pairs], apart(pairs))
    found = spearman(pairs, apart(pairs))
    assert turned["rho"] == pytest.approx(-found["rho"])
    assert (turned["low"], turned["high"]) == pytest.approx((-found["high"], -found["low"]), abs=0.02)


def test_seeds_that_tell_nothing_new_make_no_interval_narrower() -> None:
    methods = drawn(9, 0.5, 7)
    thrice = [pair for pair in methods for _ in range(3)]
    assert spearman(thrice, [method for method in range(9) for _ in range(3)]) == pytest.approx(
        spearman(methods, apart(methods))
    )


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_interval_covers_the_true_correlation_about_as_often_as_it_says(seeds: int) -> None:
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # of normal variables
    found = [spearman(*with_seeds(drawn(30, 0.6, seed), seeds, 0.05)) for seed in range(200)]
    covered = np.mean([one["low"] <= truth <= one["high"] for one in found])
    assert 0.88 <= covered <= 0.99


def test_too_few_or_constant_pairs_have_none_and_few_groups_no_interval() -> None:
    nothing = {"rho": None, "low": None, "high": None}
    assert spearman([], []) == spearman([(1, 2), (2, 3)], "ab") == nothing
    assert spearman([(1.0, float(y)) for y in range(9)], range(9)) == nothing
    falling = {"rho": pytest.approx(-1.0), "low": None, "high": None}
    assert spearman([(1, 2), (2, 1), (3, 0), (4, -1)], "abcd") == falling
    assert spearman([(float(x), -float(x)) for x in range(12)], "aaabbbcccddd") == falling
    rising = {"rho": pytest.approx(1.0), "low": pytest.approx(1.0), "high": pytest.approx(1.0)}
    assert spearman([(float(x), 2.0 * x) for x in range(6)], range(6)) == rising
