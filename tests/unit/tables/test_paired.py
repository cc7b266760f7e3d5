"""Laws of paired comparison: the exact McNemar test, Tango's interval, and Holm's adjustment."""

from itertools import product
from math import comb, sqrt

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import multinomial

from stages.tables.paired import Counts, holm, mean_interval

Z = 1.959963984540054
CASES = [(0, 0, 5), (1, 0, 9), (3, 1, 4), (1, 7, 21), (6, 16, 161), (40, 20, 160), (0, 30, 500), (250, 240, 1000)]


def counts(b: int, c: int, n: int) -> Counts:
    """b images that only the first gets right, c that only the second, n in all."""
    return Counts((n - b - c) // 2, b, c, n - b - c - (n - b - c) // 2)


def likeliest_variance(b: int, c: int, n: int, d: float) -> float:
    """n times the variance of the difference at the likeliest p12 and p21 = p12 - d; the likelihood searched."""

    def against(p21: float) -> float:
        p12 = p21 + d
        parts = ((b, p12), (c, p21), (n - b - c, 1 - p12 - p21))
        return -sum(count * np.log(max(p, 1e-300)) for count, p in parts if count)

    low, high = max(0.0, -d), (1 - d) / 2
    p21 = minimize_scalar(against, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return p21 + (p21 + d) - d**2


@pytest.mark.parametrize(("b", "c", "n"), CASES)
def test_the_interval_ends_where_the_score_test_at_the_likeliest_nuisance_rejects(b: int, c: int, n: int) -> None:
    def statistic(d: float) -> float:
        return (b - c - n * d) ** 2 / (n * max(likeliest_variance(b, c, n, d), 1e-12)) - Z**2

    estimate = (b - c) / n
    expected = [brentq(statistic, *ends, xtol=1e-9) for ends in ((-0.999, estimate - 1e-5), (estimate + 1e-5, 0.999))]
    assert counts(b, c, n).interval == pytest.approx(expected, abs=2e-5)


def test_the_interval_of_a_published_example() -> None:
    """Airway hyper-responsiveness before and after stem cell transplantation (Fagerland, Lydersen and Laake, 2014)."""
    assert Counts(1, 1, 7, 12).interval == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize("n", [1, 5, 100, 10_000])
def test_the_interval_at_the_edges_has_its_closed_form(n: int) -> None:
    nobody, everybody = Z**2 / (n + Z**2), (n - Z**2) / (n + Z**2)
    assert Counts(0, 0, 0, n).interval == pytest.approx((-nobody, nobody), abs=1e-9)
    assert Counts(n, 0, 0, 0).interval == pytest.approx((-nobody, nobody), abs=1e-9)
    assert Counts(0, n, 0, 0).interval == pytest.approx((everybody, 1), abs=1e-9)
    assert Counts(0, 0, n, 0).interval == pytest.approx((-1, -everybody), abs=1e-9)


@pytest.mark.parametrize(("b", "c", "n"), CASES)
def test_changing_sides_changes_the_sign_and_nothing_else(b: int, c: int, n: int) -> None:
    one, other = counts(b, c, n), counts(c, b, n)
    assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]))
    assert (other.difference, other.p) == (-one.difference, one.p)
    assert one.interval[0] <= one.difference <= one.interval[1]


def test_the_interval_leaves_out_zero_just_where_mcnemars_uncorrected_test_rejects() -> None:
    for b, c in product(range(15), repeat=2):
        low, high = counts(b, c, 100).interval
        assert (low > 0 or high < 0) == ((b - c) ** 2 > Z**2 * (b + c)), (b, c)


@pytest.mark.parametrize("p", [(0.1, 0.05), (0.2, 0.2), (0.3, 0.02), (0.02, 0.02)])
def test_the_interval_covers_the_truth_at_least_about_as_often_as_it_says(p: tuple[float, float]) -> None:
    """Every outcome of 40 images, each with its probability."""
    n, truth, covered = 40, p[0] - p[1], 0.0
    law = multinomial(n, [*p, 1 - sum(p)])
    for b in range(n + 1):
        for c in range(n + 1 - b):
            probability = law.pmf([b, c, n - b - c])
            if probability > 1e-7:
                low, high = counts(b, c, n).interval
                covered += probability * (low <= truth <= high)
    assert covered > 0.935


@pytest.mark.parametrize(("b", "c", "n"), CASES)
def test_mcnemar_is_the_tail_of_a_fair_coin_on_both_sides(b: int, c: int, n: int) -> None:
    tail = sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
    assert counts(b, c, n).p == pytest.approx(min(1.0, 2 * tail), rel=1e-9)


def test_counts_are_of_the_four_pairs_of_verdicts() -> None:
    a, b = (np.array(list(map(bool, bits))) for bits in ([1, 1, 1, 0, 0], [1, 0, 0, 1, 0]))
    found = Counts.of(a, b)
    assert found == Counts(1, 2, 1, 1)
    assert (found.n, found.difference) == (5, pytest.approx(0.2))


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_a_mean_ends_where_its_score_test_rejects(seed: int) -> None:
    differences = np.random.default_rng(seed).choice([-1, -1 / 3, 0, 0, 1 / 3, 1], 60)
    for d in mean_interval(differences):
        assert abs(differences.mean() - d) == pytest.approx(Z * sqrt(((differences - d) ** 2).sum()) / 60)


def test_the_interval_of_one_seeds_mean_leaves_out_zero_just_where_tangos_does() -> None:
    for b, c in product(range(12), repeat=2):
        differences = np.array([1.0] * b + [-1.0] * c + [0.0] * (80 - b - c))
        (low, high), (lowest, highest) = mean_interval(differences), counts(b, c, 80).interval
        assert (low > 0 or high < 0) == (lowest > 0 or highest < 0), (b, c)


def test_a_mean_of_few_images_tells_nothing() -> None:
    assert mean_interval(np.array([1.0, 1.0, 1.0])) == (-1.0, 1.0)


def test_holm_rejects_what_its_steps_reject_at_every_level() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        p = generator.random(6) ** 3
        adjusted = holm(p.tolist())
        for level in (0.001, 0.01, 0.05, 0.3, 0.9):
            rejected: set[int] = set()
            for step, place in enumerate(np.argsort(p)):
                if p[place] > level / (len(p) - step):
                    break
                rejected.add(int(place))
            assert {place for place, value in enumerate(adjusted) if value <= level} == rejected


def test_holm_of_one_is_itself_and_of_none_nothing() -> None:
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
