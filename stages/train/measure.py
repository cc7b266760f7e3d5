"""What is measured beside training: clean and PGD accuracy, and the LSP loss whatever the run optimizes."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.artifacts import Structure
from stages.core.config.data import Augment
from stages.core.images.augment import crop_flip
from stages.core.images.perturb import evaluating, perturb
from stages.core.images.pixels import to_unit
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.train.lsp import lsp_term

BATCH_SIZE = 256


@dataclass(frozen=True)
class Accuracy:
    """Fractions in [0, 1]."""

    clean: float
    robust: float


def measure_accuracy(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    threat: Threat,
    search: Search,
    seed: int,
    by: nn.Module | None = None,
) -> Accuracy:
    """Clean and PGD accuracy on images uint8 (N, 3, H, W); the same seed starts the attack alike each time.

    by: what is attacked in the model's place (`Trained`); right or wrong is the model's own word.
    """
    clean, robust = right(model, images, labels, threat, search, torch.Generator().manual_seed(seed), by).tolist()
    return Accuracy(clean / len(labels), robust / len(labels))


def right(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    threat: Threat,
    search: Search,
    generator: torch.Generator,
    by: nn.Module | None = None,
) -> Tensor:
    """How many images the model gets right (2,): clean, and clean and perturbed; it waits for no device."""
    counts = torch.zeros(2, dtype=torch.int64, device=images.device)
    for x, y in zip(images.split(BATCH_SIZE), labels.split(BATCH_SIZE), strict=True):
        unit = to_unit(x)
        loss = partial(F.cross_entropy, target=y, reduction="none")
        x_adv = perturb(model if by is None else by, unit, loss, threat, search, generator)
        with evaluating(model), torch.no_grad():
            correct = model(unit).argmax(1) == y
            counts += torch.stack([correct.sum(), (correct & (model(x_adv).argmax(1) == y)).sum()])
    return counts


def measure_lsp_loss(model: nn.Module, images: Tensor, anchors: Tensor, structure: Structure) -> float:
    """D(P_x, Q_x) (squared L2, summed over m) averaged over anchors (A,), un-augmented, eval mode, no gradient.

    images: all training images uint8 (N, 3, H, W); structure: companions and P_x of every image.
    """
    near, total = structure.companions[anchors].cpu(), torch.zeros((), dtype=torch.float64, device=images.device)
    with evaluating(model), torch.no_grad():
        for ids, companions in zip(anchors.split(BATCH_SIZE), near.split(BATCH_SIZE), strict=True):
            unique, places = (part.to(images.device) for part in companions.unique(return_inverse=True))
            scored = torch.cat([model(to_unit(images[part])) for part in unique.split(BATCH_SIZE)])
            term = lsp_term(model(to_unit(images[ids])), scored[places], structure.vectors[ids])
            total += term * len(ids)
    return float(total) / len(anchors)


def measuring_steps(batches: int, steps: int) -> set[int]:
    """At most `batches` of an epoch's steps (from 0), each in the middle of an equal share of the epoch."""
    shares = min(batches, steps)
    return {(2 * share + 1) * steps // (2 * shares) for share in range(shares)}


def measure_training_lsp_loss(
    model: nn.Module, images: Tensor, anchors: Tensor, structure: Structure, augment: Augment, seed: int
) -> Tensor:
    """D(P_x, Q_x) (scalar; squared L2, summed over m) of a batch of anchors (B,) as a training loss of this moment.

    Anchors and companions are cropped and flipped by a stream of `seed`, and pass one concatenated forward in train
    mode, as LSP trains; no gradient is taken and batch norm's running statistics stay. images, structure: of all.
    """
    generator = torch.Generator().manual_seed(seed)
    ids = torch.cat([anchors, structure.companions[anchors].flatten()])
    shown = crop_flip(to_unit(images[ids]), generator, padding=augment.padding, flip=augment.flip)
    with training_untracked(model), torch.no_grad():
        logits = model(shown)
    vectors = structure.vectors[anchors]
    return lsp_term(logits[: len(anchors)], logits[len(anchors) :].unflatten(0, vectors.shape), vectors)


@contextlib.contextmanager
def training_untracked(model: nn.Module) -> Iterator[None]:
    """Every submodule in train mode with no batch norm keeping statistics, and afterwards each as it was."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    modes = [(module, module.training) for module in model.modules()]
    tracking = [norm.track_running_stats for norm in norms]
    model.train()
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm, tracked in zip(norms, tracking, strict=True):
            norm.track_running_stats = tracked
        for module, mode in modes:
            module.training = mode
