"""A checkpoint's certificate: the evidence is gathered and the checks are made."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from stages.attack.certificate import of_attacks, of_model, of_search
from stages.attack.certificate.active import active_test
from stages.attack.certificate.battery import Battery, attacks, autoattack, robust_to_others
from stages.attack.certificate.evidence import Evidence
from stages.attack.certificate.probes import (
    Differentiable,
    differentiable,
    outputs,
    path,
    unstable_loss,
    zero_gradients,
)
from stages.attack.certificate.verdict import Check
from stages.attack.margin import margin
from stages.core.errors import ConfigError
from stages.core.job.progress import log_line

ACTIVE = 64  # images
CHECKS = (
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


def gather(battery: Battery, others: Mapping[str, nn.Module]) -> Evidence:
    """The evidence for a battery's model; others: checkpoints of the same data set, by their names.

    ConfigError where the model gets no image right: there is nothing to attack.
    """
    model = battery.model
    told = outputs(model, battery.images)
    right = told.logits.argmax(dim=1) == battery.labels
    chosen = right.nonzero().flatten()
    if not len(chosen):
        raise ConfigError(f"none of {len(right)} images is classified correctly; there is nothing to certify")
    gives_gradients = differentiable(model, battery.images)
    if not gives_gradients:
        battery = replace(battery, model=Differentiable(model))
    lead = float(margin(told.logits, battery.labels)[right].abs().median())
    zero = zero_gradients(battery.model, battery.images[chosen], battery.labels[chosen])
    unstable, searched = unstable_loss(battery.model, battery, chosen), path(battery, chosen)
    log_line(f"certificate: probes done on {len(chosen)} images")
    found = active_test(battery, chosen[torch.linspace(0, len(chosen) - 1, min(ACTIVE, len(chosen))).long()])
    log_line("certificate: active test done")
    robust = attacks(battery, lead)
    to_others = robust_to_others(battery, others)
    robust["aa"], broken_by = autoattack(battery)
    return Evidence(
        epsilon=battery.epsilon,
        classes=told.logits.shape[1],
        outputs=told,
        differentiable=gives_gradients,
        zero=zero,
        unstable=unstable,
        path=searched,
        active=found,
        robust=robust,
        to_others=to_others,
        broken_by=broken_by,
        largest=battery.largest(),
    )


def checks(evidence: Evidence) -> list[Check]:
    """All of them, in the order of a certificate."""
    return [check(evidence) for check in CHECKS]
