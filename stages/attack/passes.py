"""`python -m stages.attack.passes`: passes of a test image under each attack of a JSON list on standard input."""

import contextlib
import io
import json
import sys

import torch

from stages.attack.evaluate import Trial, evaluate
from stages.core.config.attacks import Attack
from stages.core.job.stage import one_line_errors
from stages.core.models.passes import BATCH, Counted, pictures


def of_attack(attack: Attack) -> dict[str, float]:
    """Passes of a test image under an attack that treats every image alike, by kind, the audit's among them."""
    model = Counted().eval()
    few = attack.model_copy(update={"images": BATCH, "batch_size": BATCH, "subset": "first"})
    with contextlib.redirect_stderr(io.StringIO()):
        evaluate(Trial(model, "counted", few, pictures(), 0, torch.device("cpu")))
    return model.passes()


if __name__ == "__main__":
    with one_line_errors():
        print(json.dumps([of_attack(Attack.model_validate(one)) for one in json.loads(sys.stdin.read())]))
