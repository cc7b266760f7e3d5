"""Random perturbations: what any attack must beat (Carlini et al., 2019, "On Evaluating Adversarial Robustness")."""

import torch
from torch import Tensor, nn

from stages.attack.margin import margin
from stages.core.config.quantities import Count
from stages.core.images.pixels import over_pixels
from stages.core.images.threat import Threat

CHOOSES = True
FOLDED = True


def random_noise(
    model: nn.Module, images: Tensor, labels: Tensor, threat: Threat, generator: torch.Generator, *, draws: Count = 10
) -> Tensor:
    """Of `draws` random points of ball and box for each image the one of the largest margin max_{k != y} z_k - z_y.

    images: (B, C, H, W) in [0, 1]; labels: (B,). Nothing is searched and no gradient asked for.
    """
    best, largest = images.clone(), torch.full_like(labels, -torch.inf, dtype=images.dtype)
    for _ in range(draws):
        x_adv = threat.random_point(images, generator)
        with torch.no_grad():
            lead = margin(model(x_adv), labels)
        better = lead > largest
        best, largest = torch.where(over_pixels(better), x_adv, best), torch.where(better, lead, largest)
    return best
