"""`python -m stages.lipschitz.passes`: of a test image, under each settings of a JSON list on standard input."""

import json
import sys

import torch

from stages.core.config.lipschitz import LipschitzSettings
from stages.core.images.pixels import to_unit
from stages.core.job.stage import one_line_errors
from stages.core.models.passes import BATCH, Counted, pictures
from stages.lipschitz.measure import measure


def of_measuring(settings: LipschitzSettings) -> dict[str, float]:
    """Passes of an image, by kind."""
    model = Counted().eval()
    measure(model, to_unit(pictures().images[:BATCH]), settings, torch.Generator().manual_seed(0))
    return model.passes()


if __name__ == "__main__":
    with one_line_errors():
        told = json.loads(sys.stdin.read())
        print(json.dumps([of_measuring(LipschitzSettings.model_validate(one)) for one in told]))
