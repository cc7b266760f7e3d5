"""Laws of the tests behind a claim: they are textbook tests where those apply, and hold their level."""

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from stages.tables.claims.decides import ENOUGH, images, seeds
from stages.tables.claims.evidence import (
    LEVEL,
    Evidence,
    Tails,
    bootstrap,
    freedom,
    mcnemar,
    mean_squares,
    score_test,
    weigh,
)
from stages.tables.paired import Counts, mean_interval


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def verdicts(
    generator: np.random.Generator, seeds: int, n: int, *, difference: float = 0.0, sd: float = 0.0
) -> NDArray[np.float64]:
    """Differences of two methods' verdicts: images of their own difficulty, seeds of their own level."""
    difficulty = generator.normal(0, 2, n)
    found = np.zeros((seeds, n))
    for sign in (1, -1):
        rate = 1 / (1 + np.exp(-difficulty - generator.normal(0, 0.5, n)))
        level = generator.normal(0, sd, (seeds, 1)) + sign * difference / 2
        found += sign * (generator.random((seeds, n)) < np.clip(rate + level, 0, 1))
    return found


def of(d: NDArray[np.float64], margin: float = 0.0, *, loss: bool = False) -> Evidence:
    return weigh(d, margin=margin, verdicts=not loss, loss=loss)


@pytest.mark.parametrize("counts", [Counts(0, 12, 3, 5), Counts(9, 3, 12, 0), Counts(4, 5, 5, 1), Counts(7, 0, 0, 2)])
def test_mcnemars_two_tails_make_its_two_sided_p(counts: Counts) -> None:
    assert mcnemar(counts).two_sided == pytest.approx(counts.p, rel=1e-12)
    swapped = Counts(counts.both, counts.only_b, counts.only_a, counts.neither)
    assert mcnemar(swapped) == Tails(*reversed(mcnemar(counts)))


@pytest.mark.parametrize("difference", [0.0, 0.02, 0.04, -0.05])
def test_the_score_test_rejects_just_where_its_interval_leaves_out_0(
    difference: float, generator: np.random.Generator
) -> None:
    d = verdicts(generator, 3, 300, difference=difference).mean(0)
    low, high = mean_interval(d)
    shift = np.array([-low, -high])
    assert [score_test(d + s, 0.0).two_sided for s in shift] == pytest.approx([0.05, 0.05], rel=1e-6)
    assert (score_test(d, 0.0).two_sided <= 0.05) == (not low <= 0 <= high)


def test_without_variance_of_images_the_test_of_methods_is_the_paired_t_of_the_seeds_means(
    generator: np.random.Generator,
) -> None:
    for count in (3, 4):
        means = generator.normal(0.02, 0.02, (count, 1))
        for d in (means, means + np.zeros((1, 50))):
            found = of(d, loss=d.shape[1] == 1).methods
            assert found is not None
            for tail, alternative in zip(found, ("greater", "less"), strict=True):
                expected = stats.ttest_1samp(means[:, 0], 0, alternative=alternative).pvalue
                assert tail == pytest.approx(expected, rel=1e-9)


def test_a_part_that_all_seeds_share_adds_its_own_variance_and_freedom(generator: np.random.Generator) -> None:
    seed, image = generator.normal(0, 0.05, (4, 1)), generator.normal(0, 0.5, (1, 200))
    found = of(0.03 + seed + image).methods
    d = 0.03 + seed + image
    by_seed, by_image = d.mean(1), d.mean(0)
    seeds_part, images_part = by_seed.var(ddof=1) / 4, by_image.var(ddof=1) / 200
    total = seeds_part + images_part
    df = total**2 / (seeds_part**2 / 3)
    assert found is not None
    assert found.above == pytest.approx(stats.t.sf(d.mean() / sqrt(total), df), rel=1e-9)


def test_mean_squares_and_freedom_are_hillis_terms_written_out(generator: np.random.Generator) -> None:
    d = verdicts(generator, 4, 60, sd=0.1)
    count, n = d.shape
    total = float(d.sum()) / (count * n)
    seed = image = error = 0.0
    for s in range(count):
        seed += n * (float(d[s].sum()) / n - total) ** 2 / (count - 1)
        for i in range(n):
            residual = float(d[s, i]) - float(d[s].sum()) / n - float(d[:, i].sum()) / count + total
            error += residual**2 / ((count - 1) * (n - 1))
    for i in range(n):
        image += count * (float(d[:, i].sum()) / count - total) ** 2 / (n - 1)
    assert mean_squares(d) == pytest.approx((seed, image, error), rel=1e-12)
    assert seed > error
    added = max(image - error, 0.0)
    total_variance = (seed + added) / (count * n)
    df = (seed + added) ** 2 / (seed**2 / (count - 1))
    assert freedom(seed / n, added / (count * n), count) == pytest.approx(df, rel=1e-12)
    found = of(d).methods
    assert found is not None
    assert found.above == pytest.approx(stats.t.sf(total / sqrt(total_variance), df), rel=1e-9)


def test_seeds_that_differ_less_than_chance_lets_them_decide_nothing_by_that() -> None:
    """Three seeds right on the same number of images, each on others: their means' variance is 0, and not believed."""
    d = np.zeros((3, 300))
    for seed in range(3):
        d[seed, 100 * seed : 100 * seed + 12], d[seed, 100 * seed + 50 : 100 * seed + 55] = 1, -1
    assert mean_squares(d)[0] == 0
    found, spread = of(d).methods, of(d).spread
    assert found is not None
    assert spread is not None
    assert spread.seeds == pytest.approx(mean_squares(d)[2] / 300)
    assert found.above > 0.001


def test_where_nothing_varies_nothing_is_said() -> None:
    assert of(np.zeros((3, 40))).methods == Tails(0.5, 0.5)
    assert of(np.zeros((1, 40))).checkpoints == Tails(1.0, 1.0)
    assert of(np.zeros((2, 40))).checkpoints == Tails(0.5, 0.5)
    assert of(np.ones((4, 1)), loss=True).methods == Tails(1.0, 1.0)


def test_below_three_seeds_there_is_no_test_of_methods_and_a_loss_has_none_of_images(
    generator: np.random.Generator,
) -> None:
    for count in (1, 2):
        assert of(np.ones((count, 50))).methods is None
    loss = of(generator.normal(0, 1, (3, 1)), loss=True)
    assert (loss.checkpoints, loss.interval) == (None, None)
    assert loss.methods is not None


def test_the_bootstrap_draws_as_a_plain_one_does_and_the_larger_p_counts(generator: np.random.Generator) -> None:
    d = verdicts(generator, 5, 80, difference=0.1, sd=0.03)
    plain = np.random.default_rng(1)
    means = np.array([d[plain.integers(0, 5, 5)][:, plain.integers(0, 80, 80)].mean() for _ in range(20_000)])
    found = bootstrap(d)
    assert found.above == pytest.approx((means <= 0).mean(), abs=0.01)
    assert found.below == pytest.approx((means >= 0).mean(), abs=0.01)
    strong = verdicts(generator, 5, 300, difference=0.3, sd=0.02)
    both = of(strong).methods
    assert both is not None
    assert both.above == bootstrap(strong).above == 1 / 10_001


@pytest.mark.parametrize(("count", "n", "sd"), [(3, 500, 0.01), (3, 500, 0.03), (5, 200, 0.02)])
def test_without_a_difference_the_test_of_methods_rejects_at_most_about_as_often_as_it_says(
    count: int, n: int, sd: float, generator: np.random.Generator
) -> None:
    tested = [of(verdicts(generator, count, n, sd=sd)).methods for _ in range(600)]
    rejected = sum(tails is not None and tails.two_sided <= 0.05 for tails in tested)
    assert rejected <= stats.binom.ppf(0.9999, 600, 0.06)


def test_the_images_asked_for_have_the_power_that_is_promised() -> None:
    d = np.repeat([1.0, -1.0, 0.0], [60, 40, 400])[None]
    n = 500 * (ENOUGH * float(d.std()) / (0.04 * sqrt(500))) ** 2
    said = images(of(d), 0.0)
    assert said == f"about {int(np.ceil(n / 10) * 10):,} images"
    drawn = np.random.default_rng(0).choice(d[0], (400, round(n)))
    power = np.mean([score_test(one, 0.0).two_sided <= 0.05 for one in drawn])
    assert power == pytest.approx(0.8, abs=0.07)


def test_the_seeds_asked_for_have_the_power_that_is_promised() -> None:
    """Losses, so that the seeds' deviation is all there is: their number is that of a t test's usual power."""
    d = np.array([[0.5], [1.5], [-0.5], [1.5]])
    said = seeds(of(d, loss=True), 0.0)
    ratio = float(d.mean() / d.std(ddof=1))
    power = {
        count: stats.nct.sf(stats.t.ppf(0.975, count - 1), count - 1, ratio * sqrt(count)) for count in range(3, 40)
    }
    needed = min(count for count, reached in power.items() if reached >= 0.8)
    assert abs(int(said.split()[1]) - needed) <= 1


def test_no_number_of_seeds_is_asked_for_where_the_images_are_too_few(generator: np.random.Generator) -> None:
    d = 0.01 + generator.normal(0, 0.001, (4, 1)) + generator.normal(0, 0.5, (1, 100))
    d += 0.01 - d.mean()
    said = seeds(of(d), 0.0)
    assert said.startswith("no number of seeds: the images are too few, about ")
    needed = int(said.split()[-2].replace(",", ""))
    assert needed == pytest.approx((ENOUGH * d.mean(0).std() / 0.01) ** 2, rel=0.12)
    assert seeds(of(np.zeros((3, 9))), 0.0) == images(of(np.zeros((1, 9))), 0.0) == "none: no difference is seen"


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("n", "margin"), [(20, 0.02), (40, 0.02), (360, 0.005), (600, 0.02)])
def test_what_a_margin_leaves_open_is_not_called_enough(count: int, n: int, margin: float) -> None:
    """Of runs that say the same of every image no variance is seen, and a margin is tested against its own."""
    evidence, is_open = of(np.zeros((count, n)), margin), n < 600
    assert evidence.checkpoints is not None
    assert (evidence.checkpoints.two_sided > LEVEL) == is_open
    assert images(evidence, margin).startswith("about") == is_open
    assert (evidence.methods is not None) == (count == 3)
    if evidence.methods is not None:
        assert (evidence.methods.two_sided > LEVEL) == is_open
        assert ("images are too few" in seeds(evidence, margin)) == is_open


def test_the_interval_of_a_gain_holds_its_mean_whatever_it_is() -> None:
    """A gain is a difference of two differences and lies in [-2, 2]."""
    d = np.array([[2.0, 1.0] * 32] * 3)
    evidence = weigh(d, margin=0.0, verdicts=False, loss=False)
    assert evidence.interval is not None
    low, high = evidence.interval
    assert low < evidence.difference == 1.5 < high <= 2
    few = weigh(d[:, :2], margin=0.0, verdicts=False, loss=False).interval
    assert few == (-2.0, 2.0)
