"""Projected gradient descent on the cross-entropy (Madry et al., 2018, Sec. 2.1), L-infinity and L2."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.attack.restarts import best_of_restarts
from stages.core.config.quantities import Count, Positive
from stages.core.images.search import Search
from stages.core.images.threat import Threat

CHOOSES = True
FOLDED = True


def pgd(
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
    """Adversarial images (B, C, H, W) that ascend CE(f(x'), y) by `steps` steps of `step_size` (pixels in [0, 1]).

    images: (B, C, H, W) in [0, 1]; labels: (B,); restarts: searches per image, of which the best is kept.
    """
    search = Search(step_size, steps, "uniform" if random_start else "none")
    return best_of_restarts(
        model,
        images,
        labels,
        lambda logits: F.cross_entropy(logits, labels, reduction="none"),
        threat,
        search,
        generator,
        restarts,
    )
