"""Two methods on the same images: who gets which right, and whether that tells them apart.

All of it speaks of the draw of the test images, given the checkpoints; another seed of the training is another pair of
checkpoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

Z = float(norm.ppf(0.975))
Interval = tuple[float, float]
_BESIDE = 1e-9


@dataclass(frozen=True)
class Counts:
    """Images that both, only the first, only the second, or neither of two models gets right."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @classmethod
    def of(cls, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> "Counts":
        """a, b: (n,) bool, verdicts on the same images."""
        return cls(int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum()))

    @property
    def n(self) -> int:
        """Images."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def difference(self) -> float:
        """The first's accuracy less the second's, in [-1, 1]."""
        return (self.only_a - self.only_b) / self.n

    @property
    def p(self) -> float:
        """Exact McNemar test (1947), two-sided: the discordant images against a fair coin; 1 where there are none."""
        discordant = self.only_a + self.only_b
        return float(binomtest(self.only_a, discordant, 0.5).pvalue) if discordant else 1.0

    @property
    def interval(self) -> Interval:
        """Tango's (1998) 95 % score interval of the difference.

        It holds every difference that the score test does not reject at 5 %; 0 among them unless McNemar's test
        without continuity correction rejects it. Fagerland et al. (2014) recommend it for any n.
        """
        return _lower(self.only_a, self.only_b, self.n), -_lower(self.only_b, self.only_a, self.n)


def mean_interval(differences: NDArray[np.float64], most: float = 1.0) -> Interval:
    """95 % score interval of a mean, cut to [-most, most]: the variance is taken about the difference that is tested.

    differences (n,), none beyond most: of each image, averaged over seeds. |mean - d| <= z sqrt(sum_i (x_i - d)^2) / n
    solved for d. For one seed it leaves out 0 just where Tango's does.
    """
    n, mean = len(differences), float(differences.mean())
    if n <= Z**2:
        return -most, most
    half = Z * float(differences.std()) / sqrt(n - Z**2)
    return max(-most, mean - half), min(most, mean + half)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given: valid for any dependence between the tests."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def _lower(b: int, c: int, n: int) -> float:
    """Where b - c - n d = z times its standard deviation under d, for d below the estimate (Tango, Eq. 7 and 8)."""
    estimate = (b - c) / n
    if estimate == -1:
        return -1.0

    def excess(d: float) -> float:
        linear = (2 * n - b + c) * d - b - c
        q = (sqrt(max(0.0, linear**2 + 8 * n * c * d * (1 - d))) - linear) / (4 * n)
        return b - c - n * d - Z * sqrt(max(0.0, n * (2 * q + d * (1 - d))))

    return float(brentq(excess, -1.0, estimate - _BESIDE, xtol=1e-12))
