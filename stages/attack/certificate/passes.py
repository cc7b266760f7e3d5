"""`python -m stages.attack.certificate.passes`: what goes through a network for a certificate, but for AutoAttack.

By kind of pass: of each image, of each image of the active test besides, and of each image and other checkpoint.
"""

import contextlib
import io
import json
import sys

import torch

from stages.attack.certificate import active, battery, probes
from stages.attack.certificate.certify import ACTIVE
from stages.core.artifacts import ImageSet
from stages.core.images.pixels import to_unit
from stages.core.job.stage import one_line_errors
from stages.core.models.passes import BATCH, Counted, pictures

EPSILON = 0.1


def of_certificate() -> dict[str, dict[str, float]]:
    """Passes by kind: `image`, `active` (of `tested` images at most) and `other`."""
    model, drawn = Counted().eval(), pictures()
    images = drawn.images[:BATCH]
    with torch.no_grad():
        labels = model(to_unit(images)).argmax(dim=1)
    model.counts.update(dict.fromkeys(model.counts, 0))
    made = battery.Battery(model, ImageSet(images, labels, drawn.classes), BATCH, EPSILON, 0, torch.device("cpu"))
    every = torch.arange(BATCH)
    with contextlib.redirect_stderr(io.StringIO()):
        told = probes.outputs(model, made.images)
        probes.zero_gradients(model, made.images, labels)
        probes.unstable_loss(model, made, every)
        probes.path(made, every)
        battery.attacks(made, float(told.logits.abs().max()))
    searches = 2.0 * battery.RESTARTS * battery.STEPS
    return {
        "image": model.passes(),
        "active": {"forward": active.INNER + 2 + active.TRIES + 2.0 * battery.RESTARTS, "search": searches},
        "other": {"forward": 1.0, "search": float(battery.STEPS)},
        "tested": {"most": float(ACTIVE)},
    }


if __name__ == "__main__":
    with one_line_errors():
        json.loads(sys.stdin.read())
        print(json.dumps(of_certificate()))
