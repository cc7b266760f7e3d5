"""Several searches from several starts, the best kept for each image."""

import torch
from torch import Tensor, nn

from stages.core.images.perturb import PerExampleLoss, evaluating, perturb
from stages.core.images.pixels import over_pixels
from stages.core.images.search import Search
from stages.core.images.threat import Threat


def best_of_restarts(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    per_example_loss: PerExampleLoss,
    threat: Threat,
    search: Search,
    generator: torch.Generator,
    restarts: int,
) -> Tensor:
    """The best of `restarts` searches for each image: misclassified before not, then the higher loss.

    images: (B, C, H, W) in [0, 1]; labels: (B,). Every restart searches the whole batch, so that which starts are
    drawn never hangs on a verdict. Without a random start they would repeat one search, which a config cannot ask for.
    """
    best = perturb(model, images, per_example_loss, threat, search, generator)
    if restarts == 1:
        return best
    best_fooled, best_loss = _fooled_and_loss(model, best, labels, per_example_loss)
    for _ in range(restarts - 1):
        x_adv = perturb(model, images, per_example_loss, threat, search, generator)
        fooled, loss = _fooled_and_loss(model, x_adv, labels, per_example_loss)
        better = (fooled & ~best_fooled) | ((fooled == best_fooled) & (loss > best_loss))
        best = torch.where(over_pixels(better), x_adv, best)
        best_fooled, best_loss = best_fooled | fooled, torch.where(better, loss, best_loss)
    return best


def _fooled_and_loss(
    model: nn.Module, x_adv: Tensor, labels: Tensor, per_example_loss: PerExampleLoss
) -> tuple[Tensor, Tensor]:
    with evaluating(model), torch.no_grad():
        logits = model(x_adv)
        return logits.argmax(dim=1) != labels, per_example_loss(logits)
