"""What is measured at each epoch's end: clean and PGD accuracy, and the LSP loss whatever the run optimizes."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.artifacts import Structure
from stages.core.perturb import evaluating, perturb
from stages.core.threat import Threat
from stages.train.bank import to_unit
from stages.train.lsp import lsp_term

BATCH_SIZE = 256


@dataclass(frozen=True)
class Accuracy:
    """Fractions in [0, 1]."""

    clean: float
    robust: float


def measure_accuracy(model: nn.Module, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Accuracy:
    """Clean and PGD accuracy on images uint8 (N, 3, H, W); the same seed starts the attack alike each time."""
    generator = torch.Generator().manual_seed(seed)
    clean = robust = 0
    for x, y in zip(images.split(BATCH_SIZE), labels.split(BATCH_SIZE), strict=True):
        unit = to_unit(x)
        x_adv = perturb(model, unit, lambda z, y=y: F.cross_entropy(z, y, reduction="none"), threat, generator)  # type: ignore[misc]
        with evaluating(model), torch.no_grad():
            correct = model(unit).argmax(1) == y
            clean += int(correct.sum())
            robust += int((correct & (model(x_adv).argmax(1) == y)).sum())
    return Accuracy(clean / len(labels), robust / len(labels))


def measure_lsp_loss(model: nn.Module, images: Tensor, anchors: Tensor, structure: Structure) -> float:
    """D(P_x, Q_x) (squared L2, summed over m) averaged over anchors (A,), un-augmented, eval mode, no gradient.

    images: all training images uint8 (N, 3, H, W); structure: companions and P_x of every image.
    """
    total = 0.0
    with evaluating(model), torch.no_grad():
        for ids in anchors.split(BATCH_SIZE):
            companions = structure.neighbors[ids]
            unique, places = companions.unique(return_inverse=True)
            scored = torch.cat([model(to_unit(images[part])) for part in unique.split(BATCH_SIZE)])
            term = lsp_term(model(to_unit(images[ids])), scored[places], structure.structure[ids])
            total += float(term) * len(ids)
    return total / len(anchors)
