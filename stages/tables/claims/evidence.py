"""What the images and the seeds of one comparison say: its difference d (S seeds, n images), and two tests of its mean.

On these checkpoints the images are the sample. One seed's verdicts: McNemar's exact test (1947). Else the score test of
the mean of x_i, each image's mean over seeds, z = sum(x) / sqrt(sum(x^2)): the one that `paired.mean_interval` inverts.

About the methods seeds and images are both samples: the two-way random effects of multi-reader studies (Obuchowski and
Rockette, 1995), seeds being the readers. Of the mean squares of d, MS_seed, MS_image and MS_error,

    var(mean) = (MS_seed + max(MS_image - MS_error, 0)) / (S n)
    df = (MS_seed + max(MS_image - MS_error, 0))^2 / (MS_seed^2 / (S - 1))        (Hillis, 2007)

and t = mean / sqrt(var). Without variance of images it is the paired t test of the seeds' means. Ours: MS_seed is never
taken below MS_error, which it estimates where seeds do not differ, nor below the 1 / (12 n) of rounding to whole
images. From five seeds on, where that finds something at 5 %, also a bootstrap that draws seeds and images apart (Owen,
2007), and the larger p counts.

Simulated without a difference, two-sided at 5 % (seeds' sd 0.01 and 0.03, images that favor one method or none), the
test of methods rejects in 0.0 to 4.5 % on 500 images and 1.9 to 5.7 % on 10,000 with three seeds; with five, bootstrap
and all, in 0.6 to 3.4 and 2.8 to 6.8 % (of 400 draws); with ten in 0.2 to 3.0 % on 500. Without the floor on MS_seed
three seeds reject in up to 8 %, the t test of the seeds' means, which takes the images for fixed, with ten seeds in up
to 23 %: so neither is used.

A margin m is added to d, and tested against variances not below m (1 - m), that of verdicts whose mean it is: no
variance seen in a few images is none at all. Losses know no draw of images; their seeds are tested alone.
"""

from dataclasses import dataclass
from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stages.tables.paired import Counts, Interval, mean_interval

Differences = NDArray[np.float64]
LEVEL = 0.05
LEAST_SEEDS, BOOTSTRAP_SEEDS = 3, 5
DRAWS = 10_000
LARGEST_DRAW = 4_000_000


class Tails(NamedTuple):
    """One-sided p-values: small `above` where the mean is above 0, small `below` where it is below."""

    above: float
    below: float

    @property
    def two_sided(self) -> float:
        """Twice the smaller."""
        return min(1.0, 2 * min(self))


@dataclass(frozen=True)
class Spread:
    """What the variance of the mean is made of: of S seeds on n images it is seeds / S + images, both of n images."""

    seeds: float
    images: float


@dataclass(frozen=True)
class Evidence:
    """Of one comparison. difference, interval: in [-1, 1], of a gain in [-2, 2], or a loss and None.

    deviation: of images' means. checkpoints: None for a loss; methods and spread: None below three seeds. Tests are of
    the difference plus margin.
    """

    seeds: int
    n: int
    difference: float
    interval: Interval | None
    deviation: float
    checkpoints: Tails | None
    methods: Tails | None
    spread: Spread | None


def weigh(d: Differences, *, margin: float, verdicts: bool, loss: bool) -> Evidence:
    """The evidence of differences (S, n). verdicts: they are of verdicts, in {-1, 0, 1}; loss: of losses, n = 1."""
    seeds, n = d.shape
    images = d.mean(0)
    counts = Counts(0, int((d[0] > 0).sum()), int((d[0] < 0).sum()), int((d[0] == 0).sum()))
    exact = verdicts and seeds == 1
    interval = None if loss else counts.interval if exact else mean_interval(images, most=1.0 if verdicts else 2.0)
    checkpoints = None if loss else mcnemar(counts) if exact and not margin else score_test(images, margin)
    spread = None if seeds < LEAST_SEEDS else variance(d, margin=margin, loss=loss)
    methods = None if spread is None else seeds_test(d, spread, margin)
    if methods is not None and seeds >= BOOTSTRAP_SEEDS and min(methods) <= LEVEL:
        methods = Tails(*map(max, methods, bootstrap(d + margin)))
    deviation = sqrt(max(float(images.var()), margin * (1 - margin)))
    return Evidence(seeds, n, float(d.mean()), interval, deviation, checkpoints, methods, spread)


def mcnemar(counts: Counts) -> Tails:
    """The discordant images against a fair coin, either way; exact."""
    discordant = counts.only_a + counts.only_b
    ends = (stats.binom.cdf(fewer, discordant, 0.5) for fewer in (counts.only_b, counts.only_a))
    return Tails(*map(float, ends))


def score_test(images: Differences, margin: float) -> Tails:
    """Whether the mean of (n,) differences is above or below -margin; no difference at all says nothing of 0."""
    shifted = images + margin
    squares = max(float((shifted**2).sum()), len(images) * margin * (1 - margin))
    z = float(shifted.sum()) / sqrt(squares) if squares else 0.0
    return Tails(float(stats.norm.sf(z)), float(stats.norm.cdf(z)))


def mean_squares(d: Differences) -> tuple[float, float, float]:
    """MS_seed, MS_image and MS_error of (S, n) differences; the latter two are 0 for one image."""
    seeds, n = d.shape
    by_seed, by_image, mean = d.mean(1, keepdims=True), d.mean(0, keepdims=True), d.mean()
    seed = n * float(((by_seed - mean) ** 2).sum()) / (seeds - 1)
    if n == 1:
        return seed, 0.0, 0.0
    image = seeds * float(((by_image - mean) ** 2).sum()) / (n - 1)
    return seed, image, float(((d - by_seed - by_image + mean) ** 2).sum()) / ((seeds - 1) * (n - 1))


def variance(d: Differences, *, margin: float, loss: bool) -> Spread:
    """The two parts of the variance of the mean of (S, n) differences, as it is tested with a margin."""
    seeds, n = d.shape
    seed, image, error = mean_squares(d)
    least = 0.0 if loss else max(error, 1 / (12 * n))
    return Spread(max(seed, least) / n, max((image - error) / seeds, margin * (1 - margin)) / n)


def seeds_test(d: Differences, spread: Spread, margin: float) -> Tails:
    """Whether the mean over seeds and images is above or below -margin; where nothing varies nothing is said."""
    seeds = len(d)
    total = spread.seeds / seeds + spread.images
    if not total:
        return Tails(1.0, 1.0)
    t = (float(d.mean()) + margin) / sqrt(total)
    df = freedom(spread.seeds, spread.images, seeds)
    return Tails(float(stats.t.sf(t, df)), float(stats.t.cdf(t, df)))


def freedom(seeds_part: float, images_part: float, seeds: int) -> float:
    """Hillis' degrees of freedom of seeds_part / S + images_part."""
    own = seeds_part / seeds
    return inf if not own else (seeds - 1) * ((own + images_part) / own) ** 2


def bootstrap(d: Differences) -> Tails:
    """The share of means at or beyond 0, each of S seeds and n images drawn apart with replacement.

    Images on which all seeds say the same are drawn together: how many of each pattern is multinomial.
    """
    seeds, n = d.shape
    patterns, counts = np.unique(d.T, axis=0, return_counts=True)
    generator = np.random.default_rng(0)
    at_once = max(1, LARGEST_DRAW // len(patterns))
    above = below = 0
    for start in range(0, DRAWS, at_once):
        size = min(at_once, DRAWS - start)
        images = generator.multinomial(n, counts / n, size) @ patterns
        totals = (generator.multinomial(seeds, np.full(seeds, 1 / seeds), size) * images).sum(1)
        above, below = above + int((totals <= 0).sum()), below + int((totals >= 0).sum())
    return Tails((1 + above) / (1 + DRAWS), (1 + below) / (1 + DRAWS))
