"""Checks of the model: what must hold before any attack on it means anything.

Their thresholds were set on networks trained on digits and on CIFAR-10-JPEG before others of either kind were tried
(tests/unit/attack/test_certificate.py).
"""

from stages.attack.certificate.evidence import Evidence
from stages.attack.certificate.sources import CARLINI, CROCE, PINTOR
from stages.attack.certificate.verdict import Check, Level, above, share_above, worst

SAME = 1e-4  # of the largest logit: what another call may move
REORDERED = 1e-3  # the same: what another order of sums may
LEAST_RIGHT = 30
LEAST_CLASSES = 4  # of the targeted DLR loss


def enough(evidence: Evidence) -> Check:
    """Enough images for the other checks to say something."""
    return Check(
        "number of images",
        "warn" if evidence.right < LEAST_RIGHT else "pass",
        f"{evidence.right} of {evidence.images} are classified correctly",
        f"warns below {LEAST_RIGHT}",
        "certify on more images: what so few show, many could contradict",
        CARLINI,
    )


def mode(evidence: Evidence) -> Check:
    """No submodule in train mode."""
    training = evidence.outputs.training
    return Check(
        "evaluation mode",
        "fail" if training else "pass",
        f"{len(training)} submodules in train mode{': ' + ', '.join(training[:3]) if training else ''}",
        "none may be",
        "call model.eval() before it is attacked",
        CROCE,
    )


def repeatable(evidence: Evidence) -> Check:
    """The same logits at every call."""
    return Check(
        "determinism",
        above(evidence.outputs.again, SAME, SAME),
        f"logits change by {evidence.outputs.again:.2g} of the largest from call to call",
        f"at most {SAME:g}",
        "turn dropout and noise off; a defense that draws is attacked by averages over its draws (EoT)",
        CROCE,
    )


def alone(evidence: Evidence) -> Check:
    """The same logits with other images beside it."""
    return Check(
        "independence of the batch",
        above(evidence.outputs.beside, REORDERED, REORDERED),
        f"logits change by {evidence.outputs.beside:.2g} of the largest when the image is alone",
        f"at most {REORDERED:g}",
        "let batch norm use its running statistics",
        CARLINI,
    )


def logits(evidence: Evidence) -> Check:
    """No probabilities."""
    found = evidence.outputs.probabilities
    return Check(
        "logits",
        "fail" if found else "pass",
        "outputs are probabilities" if found else "outputs are no probabilities",
        "the model returns logits",
        "leave the softmax out: its gradient vanishes where it saturates",
        CROCE,
    )


def classes(evidence: Evidence) -> Check:
    """Enough for every loss of AutoAttack."""
    few = evidence.classes < LEAST_CLASSES
    return Check(
        "number of classes",
        "warn" if few else "pass",
        f"{evidence.classes} classes",
        f"the targeted DLR loss needs {LEAST_CLASSES}",
        "report the engine's AutoAttack, which ascends the margin instead",
        CROCE,
    )


def gradients(evidence: Evidence) -> Check:
    """None that is 0 where the attacks start."""
    of = len(evidence.path.fooled)  # the images that were right when it was probed
    levels: list[Level] = [share_above(count, of, 0.0, 0.01) for count in evidence.zero.values()]
    counts = ", ".join(f"{name} {count}" for name, count in evidence.zero.items())
    none = "" if evidence.differentiable else "autograd gives none; "
    return Check(
        "gradients (shattered, or zero at the start)",
        worst(levels) if evidence.differentiable else "fail",
        f"{none}images of {of} whose gradient is 0 in every pixel: {counts}",
        "warns at one; fails where the lower 95 % bound exceeds 1 point",
        "attack through what cannot be differentiated (BPDA), or scale the logits down",
        f"{PINTOR}; {CROCE}",
    )


def rescored(evidence: Evidence) -> Check:
    """Predictions on adversarial images stand in other batches and in float64."""
    count, of = int(evidence.path.flipped.sum()), len(evidence.path.flipped)
    how = "alone, or in float64" if evidence.path.exact else "alone; the model's code does not do float64"
    return Check(
        "independent rescoring",
        share_above(count, of, 0.002, 0.01),
        f"{count} of {of} predictions on adversarial images are others when the image is {how}",
        "lower 95 % bound: warns above 0.2 points, fails above 1",
        "verdicts hang on rounding; look at the scale of the logits and at what the model draws",
        CARLINI,
    )


def zero_radius(evidence: Evidence) -> Check:
    """An attack of radius 0 changes no verdict."""
    changed = evidence.only("zero", "clean") + evidence.only("clean", "zero")
    return Check(
        "radius 0",
        "fail" if changed else "pass",
        f"{changed} of {evidence.images} verdicts differ from the clean ones",
        "none may",
        "the model or the evaluation draws something; look at determinism",
        CARLINI,
    )


def ball(evidence: Evidence) -> Check:
    """Perturbations are in ball and box."""
    size, count = evidence.largest
    return Check(
        "ball and box",
        "pass",
        f"largest perturbation {size:.8f} of {evidence.epsilon:.8f}, pixels in [0, 1], {count} images measured",
        "measured in float64; more than rounding beyond the ball ends the job",
        "",
        CARLINI,
    )
