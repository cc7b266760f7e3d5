"""`python -m stages.train.passes`: passes of an anchor in a step of each training of a JSON list on standard input."""

import json
import sys

import torch

from stages.core.artifacts import Structure
from stages.core.config.method import TrainSettings
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.core.job.stage import one_line_errors
from stages.core.models.passes import BATCH, IMAGES, Counted, pictures
from stages.train.batch import Context
from stages.train.compose import method_loss
from stages.train.streams import RandomStreams
from stages.train.training_set import TrainingSet


def of_step(settings: TrainSettings) -> dict[str, float]:
    """Passes of an anchor in a training step, by kind; with `batches: neighborhoods` at most these."""
    method, attack, images = settings.method, settings.recipe.attack, pictures()
    m = 1 if method.lsp is None else method.lsp.m
    companions = torch.randint(IMAGES, (IMAGES, m), generator=torch.Generator().manual_seed(0))
    bank = TrainingSet(
        images.images,
        images.labels,
        torch.arange(IMAGES),
        Structure(companions, torch.full((IMAGES, m), 1 / m)),
        settings.augment.model_copy(update={"padding": 0}),
        method,
    )
    streams = RandomStreams.seeded(0, torch.device("cpu"))
    model, helper = Counted().train(), Counted().eval()
    helper.counts = model.counts
    threat, search = Threat(attack.norm, attack.epsilon), Search(attack.step_size, attack.steps)
    batch = bank.batch(torch.arange(BATCH), streams)
    method_loss(model, *batch, method, Context(threat, search, streams.attack, helper))
    return model.passes()


if __name__ == "__main__":
    with one_line_errors():
        print(json.dumps([of_step(TrainSettings.model_validate(one)) for one in json.loads(sys.stdin.read())]))
