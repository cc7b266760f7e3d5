"""`python -m stages.attack.certificate.passes`: passes of an image of a certificate, but for AutoAttack's.

The active test is counted for every image and made on 64.
"""

import contextlib
import io
import json
import sys

import torch

from stages.attack.certificate.battery import Battery, attacks
from stages.attack.certificate.certify import probe
from stages.core.artifacts import ImageSet
from stages.core.images.pixels import to_unit
from stages.core.job.stage import one_line_errors
from stages.core.models.passes import BATCH, Counted, pictures

EPSILON = 0.1


def of_certificate() -> dict[str, float]:
    """By kind."""
    model, drawn = Counted().eval(), pictures()
    images = drawn.images[:BATCH]
    with torch.no_grad():
        labels = model(to_unit(images)).argmax(dim=1)
    test = ImageSet(images, labels, drawn.classes)
    model.counts.update(dict.fromkeys(model.counts, 0))
    with contextlib.redirect_stderr(io.StringIO()):
        battery = Battery(model, test, BATCH, EPSILON, 0, torch.device("cpu"))
        attacks(battery, probe(battery).lead)
    return model.passes()


if __name__ == "__main__":
    with one_line_errors():
        json.loads(sys.stdin.read())
        print(json.dumps(of_certificate()))
