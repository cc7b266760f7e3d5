"""What is measured of a batch of images: the columns of the artifact, but for which images they are."""

import torch
from torch import Tensor, nn

from stages.core.config.lipschitz import LipschitzSettings
from stages.core.images.perturb import evaluating
from stages.lipschitz.ascent import lipschitz, probabilities
from stages.lipschitz.theorem import distance_inside, radius

Columns = dict[str, Tensor]


def measure(model: nn.Module, images: Tensor, settings: LipschitzSettings, generator: torch.Generator) -> Columns:
    """Columns (B,) on the CPU for images (B, C, H, W) in [0, 1]; `distance` is infinite where nothing is broken.

    The model is given back as it was found.
    """
    with evaluating(model):
        with torch.no_grad():
            p = probabilities(model(images))
        predicted = p.argmax(dim=1)
        found = lipschitz(model, images, p, settings.delta, settings.starts, settings.steps, generator)
        radii = radius(p, found.ratio, settings.delta)
        distance = distance_inside(model, images, predicted, radii, settings.starts, settings.steps, generator)
    most, second = p.topk(2, dim=1).values.unbind(dim=1)
    columns = {
        "prediction": predicted,
        "p_a": most,
        "p_b": second,
        "lipschitz": found.ratio,
        "found_at": found.distance,
        "radius": radii,
        "broken": distance.isfinite(),
        "distance": distance,
    }
    return {name: column.cpu() for name, column in columns.items()}
