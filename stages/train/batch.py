"""What an objective is given and gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stages.core.images.search import Search
from stages.core.images.threat import Threat

Metrics = Mapping[str, Tensor]
Consistency = Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class Targets:
    """Labels (B,), or two of them an image, mixed: weight * first + (1 - weight) * second (Mixup, CutMix)."""

    first: Tensor
    second: Tensor | None = None
    weight: float = 1.0

    def mix(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """weight * loss(first) + (1 - weight) * loss(second); `loss` takes labels (B,)."""
        if self.second is None:
            return loss(self.first)
        return self.weight * loss(self.first) + (1 - self.weight) * loss(self.second)


@dataclass(frozen=True)
class Augmented:
    """What an augmentation makes of a batch: images (B, 3, H, W) in [0, 1], their targets, and with AugMix
    further views of the same images with the loss on [logits of images, of each view] that ties them."""

    images: Tensor
    targets: Targets
    views: tuple[Tensor, ...] = ()
    consistency: Consistency | None = None


@dataclass(frozen=True)
class Batch:
    """Anchors (B, 3, H, W) in [0, 1] with targets; extras (C, 3, H, W): further views and neighbors.

    extras_first: where the extras have a forward of their own (`forwards`), it comes before the anchors'.
    """

    images: Tensor
    targets: Targets
    extras: Tensor | None = None
    extras_first: bool = False


@dataclass(frozen=True)
class Context:
    """What outlasts a batch: the inner attack's ball, search and random stream, and a helper net if there is one."""

    threat: Threat
    search: Search
    generator: torch.Generator
    helper: nn.Module | None = None


@dataclass(frozen=True)
class Scored:
    """An objective's loss (scalar), its parts, and the logits that other terms build on.

    anchor_logits: (B, K) of x, or of x' in adversarial training (Eq. 9); extra_logits: (C, K).
    """

    loss: Tensor
    anchor_logits: Tensor
    extra_logits: Tensor | None
    metrics: Metrics = field(default_factory=dict)


def forwards(model: nn.Module, batch: Batch, *images: Tensor) -> tuple[list[Tensor], Tensor | None]:
    """(logits (B, K) of each of `images`, logits (C, K) of the extras or None), each in a forward of its own.

    In train mode each forward moves batch norm's running statistics, the last one most: `images` in the order given,
    the extras before or after them all as the batch says.
    """
    extra_logits = model(batch.extras) if batch.extras is not None and batch.extras_first else None
    logits = [model(given) for given in images]
    if batch.extras is not None and not batch.extras_first:
        extra_logits = model(batch.extras)
    return logits, extra_logits
