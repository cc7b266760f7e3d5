"""A checkpoint's certificate: the evidence is gathered and the checks are made."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from stages.attack.certificate import of_attacks, of_model, of_search
from stages.attack.certificate.active import Found, active_test
from stages.attack.certificate.battery import Battery, attacks, autoattack, robust_to_others
from stages.attack.certificate.evidence import Evidence
from stages.attack.certificate.probes import (
    Differentiable,
    Outputs,
    Path,
    differentiable,
    outputs,
    path,
    unstable_loss,
    zero_gradients,
)
from stages.attack.certificate.verdict import Check
from stages.attack.margin import margin
from stages.core.job.progress import log_line

ACTIVE = 64  # images
LEAST_LEAD = 1e-12  # of tied logits
CHECKS = (
    of_model.enough,
    of_model.mode,
    of_model.repeatable,
    of_model.alone,
    of_model.logits,
    of_model.classes,
    of_model.gradients,
    of_model.rescored,
    of_model.zero_radius,
    of_model.ball,
    of_search.unstable,
    of_search.silent,
    of_search.converged,
    of_search.copied,
    of_search.unbounded,
    of_search.active,
    of_attacks.order,
    of_attacks.curve,
    of_attacks.more,
    of_attacks.square,
    of_attacks.scale,
    of_attacks.saturated,
    of_attacks.transfer,
)


class NothingRightError(Exception):
    """No image is classified correctly: there is nothing to attack."""


@dataclass(frozen=True)
class Probed:
    """What is known before the attacks; lead: by which the median right image's largest logit leads."""

    battery: Battery
    outputs: Outputs
    lead: float
    differentiable: bool
    zero: Mapping[str, int]
    unstable: float
    path: Path
    active: Found


def probe(battery: Battery) -> Probed:
    """The probes of a battery's model; NothingRightError where it gets no image right.

    Of a model that gives no gradient they and all else are of one whose gradient is 0.
    """
    told = outputs(battery.model, battery.images)
    right = told.logits.argmax(dim=1) == battery.labels
    chosen = right.nonzero().flatten()
    if not len(chosen):
        raise NothingRightError(f"none of {len(right)} images is classified correctly")
    gives_gradients = differentiable(battery.model, battery.images)
    if not gives_gradients:
        battery = replace(battery, model=Differentiable(battery.model).eval())
    zero = zero_gradients(battery.model, battery.images[chosen], battery.labels[chosen])
    unstable, searched = unstable_loss(battery.model, battery, chosen), path(battery, chosen)
    log_line(f"certificate: probes done on {len(chosen)} images")
    few = chosen[torch.linspace(0, len(chosen) - 1, min(ACTIVE, len(chosen))).long().to(chosen.device)]
    found = active_test(battery, few)
    log_line("certificate: active test done")
    lead = max(float(margin(told.logits, battery.labels)[right].abs().median()), LEAST_LEAD)
    return Probed(battery, told, lead, gives_gradients, zero, unstable, searched, found)


def gather(battery: Battery, others: Mapping[str, nn.Module]) -> Evidence:
    """The evidence for a battery's model; others: checkpoints of the same data set, by their names."""
    probed = probe(battery)
    battery = probed.battery
    robust = attacks(battery, probed.lead)
    to_others = robust_to_others(battery, {name: Differentiable(other).eval() for name, other in others.items()})
    robust["aa"], broken_by = autoattack(battery)
    return Evidence(
        epsilon=battery.epsilon,
        classes=probed.outputs.logits.shape[1],
        outputs=probed.outputs,
        differentiable=probed.differentiable,
        zero=probed.zero,
        unstable=probed.unstable,
        path=probed.path,
        active=probed.active,
        robust=robust,
        to_others=to_others,
        broken_by=broken_by,
        largest=battery.largest(),
    )


def checks(evidence: Evidence) -> list[Check]:
    """All of them, in the order of a certificate."""
    return [check(evidence) for check in CHECKS]
