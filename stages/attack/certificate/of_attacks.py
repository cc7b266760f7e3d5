"""Checks of attacks against each other, on the same images.

Their thresholds were set on networks trained on digits and on CIFAR-10-JPEG before others of either kind were tried
(tests/unit/attack/test_certificate.py).
"""

import itertools

from stages.attack.certificate.battery import SCALES, radii
from stages.attack.certificate.evidence import Evidence
from stages.attack.certificate.sources import CARLINI, CROCE, TRAMER, WAGNER
from stages.attack.certificate.verdict import Check, more_often, share_above, worst

SIGNIFICANT = 0.01
SATURATED = 0.001


def order(evidence: Evidence) -> Check:
    """Stronger attacks break more."""
    names = {"noise": "noise", "fgsm": "FGSM", "pgd": "PGD", "margin": "margin-PGD", "aa": "AA"}
    pairs = [("noise", "fgsm"), ("fgsm", "pgd"), ("fgsm", "margin"), ("pgd", "aa"), ("margin", "aa")]
    wrong = [
        f"{names[weaker]} breaks {evidence.only(weaker, stronger)} that {names[stronger]} does not, and that"
        f" {evidence.only(stronger, weaker)} that {names[weaker]} does not"
        for weaker, stronger in pairs
        if more_often(evidence.only(weaker, stronger), evidence.only(stronger, weaker)) < SIGNIFICANT
    ]
    counts = ", ".join(f"{label} {evidence.left(name)}" for name, label in names.items())
    return Check(
        "order of the attacks",
        "fail" if wrong else "pass",
        f"robust of {evidence.images}: {counts}{''.join('; ' + one for one in wrong)}",
        f"no weaker attack breaks more than a stronger one (one-sided exact p < {SIGNIFICANT})",
        "a weaker attack that wins means that the gradients of the stronger one mislead",
        CARLINI,
    )


def curve(evidence: Evidence) -> Check:
    """Larger balls break more, and in the end all."""
    curve = {radius: f"margin at {radius:.4g}" for radius in radii(evidence.epsilon)}
    curve[evidence.epsilon] = "margin"
    names = [curve[radius] for radius in sorted(curve)]
    rises = [
        (small, large)
        for small, large in itertools.pairwise(names)
        if more_often(evidence.only(small, large), evidence.only(large, small)) < SIGNIFICANT
    ]
    last = evidence.left(names[-1])
    steps = ", ".join(f"{255 * radius:.3g}/255: {evidence.left(curve[radius])}" for radius in sorted(curve))
    return Check(
        "accuracy against the radius",
        "fail" if rises else share_above(last, evidence.images, 0.0, 0.01),
        f"robust of {evidence.images} at {steps}",
        f"falls (one-sided exact p < {SIGNIFICANT} that it rises) and reaches 0; warns at one image left",
        "a curve that does not fall to 0 means that the attack stops working",
        CARLINI,
    )


def more(evidence: Evidence) -> Check:
    """More effort breaks little more."""
    count = evidence.only("more", "margin")
    return Check(
        "more steps and restarts",
        share_above(count, evidence.images, 0.01, 0.05),
        f"{count} of {evidence.images} images break under five times the steps and twice the starts alone",
        "lower 95 % bound: warns above 1 point, fails above 5",
        "report the longer search",
        CARLINI,
    )


def square(evidence: Evidence) -> Check:
    """A search without gradients adds nothing."""
    count = evidence.broken_by.count("square")
    return Check(
        "Square after the attacks with gradients",
        share_above(count, evidence.images, 0.0, 0.002) if count > 1 else "pass",
        f"{count} of {evidence.images} images withstand APGD and FAB and not Square",
        "warns above one image; fails where the lower 95 % bound exceeds 0.2 points",
        "gradients mislead; attack the model with one that is made for it",
        CROCE,
    )


def scale(evidence: Evidence) -> Check:
    """The units of the logits decide nothing."""
    changed = {
        name: evidence.only(f"margin {name}", "margin") + evidence.only("margin", f"margin {name}") for name in SCALES
    }
    return Check(
        "scale and shift of the logits",
        share_above(max(changed.values()), evidence.images, 0.01, 0.05),
        "margin-PGD's verdicts that change: " + ", ".join(f"{name} {count}" for name, count in changed.items()),
        "lower 95 % bound: warns above 1 point, fails above 5",
        "a verdict must not hang on the units of the logits; their size overflows or drowns in rounding",
        TRAMER,
    )


def saturated(evidence: Evidence) -> Check:
    """Nor do they blind the cross-entropy."""
    gained, lost = evidence.only("pgd rescaled", "pgd"), evidence.only("pgd", "pgd rescaled")
    hidden = more_often(gained, lost) < SATURATED and (gained - lost) / evidence.images >= 0.05
    return Check(
        "saturation of the cross-entropy",
        "warn" if hidden else "pass",
        f"PGD leaves {evidence.left('pgd')} robust, {evidence.left('pgd rescaled')} with logits of a usual size",
        f"warns where scaling breaks 5 points more (one-sided exact p < {SATURATED})",
        "large logits saturate the softmax, and tiny ones leave it flat: FGSM and PGD on the cross-entropy see little"
        " of the margin, and their accuracies are too high; report margin-PGD and AA",
        WAGNER,
    )


def transfer(evidence: Evidence) -> Check:
    """Others' adversarial images break nothing new."""
    white = evidence.robust["aa"] & evidence.robust["more"] & evidence.robust["pgd"]
    broken = {name: int((white & ~robust).sum()) for name, robust in evidence.to_others.items()}
    told = ", ".join(
        f"{name} {100 * int(evidence.to_others[name].sum()) / evidence.images:.1f} % ({count} new)"
        for name, count in broken.items()
    )
    return Check(
        "transfer from other checkpoints",
        worst([share_above(count, evidence.images, 0.002, 0.01) for count in broken.values()]),
        f"accuracy on their adversarial images, and images that only these break: {told}"
        if told
        else "no other is at hand",
        "lower 95 % bound of what only these break: warns above 0.2 points, fails above 1",
        "attacks with this model's own gradients must break what others' do; its gradients are masked",
        CARLINI,
    )
