"""Fast gradient sign method (Goodfellow et al., 2015, Sec. 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.images.perturb import perturb
from stages.core.images.search import Search
from stages.core.images.threat import Threat

FOLDED = True
NORMS = ("linf",)


def fgsm(model: nn.Module, images: Tensor, labels: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
    """x + epsilon * sign(grad CE(f(x), y)), cut to [0, 1].

    images: (B, C, H, W) in [0, 1]; labels: (B,). One full step from the image itself; nothing is drawn.
    """
    if threat.epsilon == 0:
        return images.clone()
    return perturb(
        model,
        images,
        lambda logits: F.cross_entropy(logits, labels, reduction="none"),
        threat,
        Search(threat.epsilon, steps=1, start="none"),
        generator,
    )
