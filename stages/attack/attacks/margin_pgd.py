"""PGD on the margin loss of Carlini & Wagner (2017): Table 2's epsilon-bounded "CW"."""

import torch
from torch import Tensor, nn

from stages.attack.margin import margin
from stages.attack.restarts import best_of_restarts
from stages.core.config.quantities import Count, Positive
from stages.core.images.search import Search
from stages.core.images.threat import Threat

CHOOSES = True
FOLDED = True


def margin_pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    threat: Threat,
    generator: torch.Generator,
    *,
    step_size: Positive = 2 / 255,
    steps: Count = 10,
    restarts: Count = 1,
    random_start: bool = True,
) -> Tensor:
    """Adversarial images (B, C, H, W) that ascend max_{k != y} z_k(x') - z_y(x'); the search of `pgd` otherwise.

    The gradient does not vanish where the softmax saturates, so the scale of the logits does not matter here.
    """
    search = Search(step_size, steps, "uniform" if random_start else "none")
    return best_of_restarts(
        model, images, labels, lambda logits: margin(logits, labels), threat, search, generator, restarts
    )
