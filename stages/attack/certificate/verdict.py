"""A check's verdict and what it rests on, and the statistics that decide one."""

from dataclasses import dataclass
from typing import Literal

from scipy.stats import binomtest

Level = Literal["pass", "warn", "fail"]
CONVICTING = 3  # images
LEVELS: tuple[Level, ...] = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Check:
    """One check: what was found, the rule that makes it a warning or a failure, what to do, and who proposed it."""

    name: str
    verdict: Level
    found: str
    rule: str
    advice: str
    source: str


def worst(levels: list[Level]) -> Level:
    """The worst of some, `pass` of none."""
    return max(levels, key=LEVELS.index, default="pass")


def above(value: float, warn: float, fail: float) -> Level:
    """What a number is that should be small."""
    return "fail" if value > fail else "warn" if value > warn else "pass"


def share_above(count: int, of: int, warn: float, fail: float) -> Level:
    """What a share of images is that should be small: its lower 95 % bound (Wilson) is what must exceed.

    Fewer than CONVICTING images fail nothing.
    """
    level = above(lower_bound(count, of), warn, fail)
    return "warn" if level == "fail" and count < CONVICTING else level


def lower_bound(count: int, of: int) -> float:
    """Of a share, at 95 % (Wilson, 1927); 0 of none."""
    return float(binomtest(count, of).proportion_ci(0.95, "wilson").low) if count else 0.0


def upper_bound(count: int, of: int) -> float:
    """Of a share, at 95 % (Wilson, 1927)."""
    return float(binomtest(count, of).proportion_ci(0.95, "wilson").high) if of else 1.0


def more_often(one: int, other: int) -> float:
    """One-sided exact p that what happened `one` time happens no more often than what happened `other` times."""
    return float(binomtest(one, one + other, alternative="greater").pvalue) if one + other else 1.0
