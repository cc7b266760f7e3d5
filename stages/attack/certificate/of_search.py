"""Checks of the search: the indicators of attack failure, and the active test.

Their thresholds were set on networks trained on digits and on CIFAR-10-JPEG before others of either kind were tried
(tests/unit/attack/test_certificate.py).
"""

from stages.attack.certificate.battery import WHOLE_BOX
from stages.attack.certificate.evidence import Evidence
from stages.attack.certificate.probes import HEADWAY, LAST, WATCHED
from stages.attack.certificate.sources import PINTOR, ZIMMERMANN
from stages.attack.certificate.verdict import Check, Level, above, share_above, upper_bound

FOUND = 0.95
LEAST_READOUTS = 10


def unstable(evidence: Evidence) -> Check:
    """The loss changes little around an image."""
    return Check(
        "unstable loss",
        above(evidence.unstable, 0.5, 0.9),
        f"in noise of half the radius the margin changes by {evidence.unstable:.1%} of itself",
        "warns above 50 %, fails above 90 %",
        "smooth the loss the attack climbs, by averages over noise",
        PINTOR,
    )


def silent(evidence: Evidence) -> Check:
    """No search passes an adversarial image unseen."""
    path = evidence.path
    count, of = int((path.passed & ~path.fooled).sum()), len(path.fooled)
    return Check(
        "silent success",
        share_above(count, of, 0.01, 0.05),
        f"on {count} of {of} paths the search passed a misclassified point and ended on none",
        "lower 95 % bound: warns above 1 point, fails above 5",
        "keep the worst point of the path (margin-PGD with restarts, AutoAttack)",
        PINTOR,
    )


def converged(evidence: Evidence) -> Check:
    """Searches that failed had come to rest."""
    path = evidence.path
    count, of = int((path.moving & ~path.fooled).sum()), int((~path.fooled).sum())
    return Check(
        "incomplete convergence",
        share_above(count, of, 0.10, 0.25),
        f"{count} of {of} searches that failed still gained over {HEADWAY:.0%} in their last {LAST} of {WATCHED} steps",
        "lower 95 % bound: warns above 10 points, fails above 25",
        "take more steps",
        PINTOR,
    )


def copied(evidence: Evidence) -> Check:
    """What fools the searched copy fools the model."""
    count, of = int(evidence.path.copied.sum()), len(evidence.path.copied)
    return Check(
        "transfer from the searched copy",
        share_above(count, of, 0.002, 0.01),
        f"on {count} of {of} images what fools the copy that is searched does not fool the model itself",
        "lower 95 % bound: warns above 0.2 points, fails above 1",
        "search the model itself",
        PINTOR,
    )


def unbounded(evidence: Evidence) -> Check:
    """Without a ball every image falls."""
    attack = f"margin at {WHOLE_BOX:.4g}"
    return Check(
        "unbounded attack",
        share_above(evidence.left(attack), evidence.images, 0.0, 0.01),
        f"{evidence.left(attack)} of {evidence.images} images withstand PGD that may change nearly all of any pixel",
        "warns at one; fails where the lower 95 % bound exceeds 1 point",
        "the search is broken, not the ball too small",
        PINTOR,
    )


def active(evidence: Evidence) -> Check:
    """The attack finds what provably exists."""
    test = evidence.active
    hits, of = test.found.get("margin-PGD", 0), test.fitted
    others = ", ".join(f"{name} {count}" for name, count in test.found.items() if name != "margin-PGD")
    found = f"of {of} images margin-PGD finds {hits}, {others}"
    advice = "the attack misses adversarial examples that exist: its robust accuracies are too high"
    level: Level = "pass" if hits >= FOUND * of else "fail" if upper_bound(hits, of) < FOUND else "warn"
    if 2 * test.still >= test.images:
        found = f"around {test.still} of {test.images} images the features do not move with the pixels"
        level, advice = "warn", "attack through what holds them still"
    elif 2 * of < test.images:
        found = f"says nothing: in {test.dimensions} dimensions {of} of {test.images} readouts could be fitted"
        level = "pass"
    elif level == "fail" and of < LEAST_READOUTS:
        level = "warn"
    return Check(
        "active test",
        level,
        found,
        f"margin-PGD finds {FOUND:.0%} of {LEAST_READOUTS} or more: warns below, fails where the upper bound is",
        advice,
        ZIMMERMANN,
    )
