"""How often images go through a network, counted on a network that costs nothing.

A pass is forward alone, forward with the gradient of the pixels (a search's), or forward with that of the weights.
A gradient of the pixels that the weights' gradient goes through costs about one of the second and two of the third.
"""

from typing import Any

import torch
from torch import Tensor, nn

from stages.core.artifacts import ImageSet

IMAGES, BATCH, SIDE, CLASSES = 64, 16, 8, 10
KINDS = ("forward", "search", "train")


class Counted(nn.Module):
    """A classifier (B, 3, H, W) -> (B, K) that counts the images that go through it or a copy of it, by kind."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, CLASSES)
        self.counts = Counts.fromkeys(KINDS, 0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits; it looks at what it is given, so that no trace of it is searched in its place."""
        of_weights, of_pixels = self.training, images.requires_grad
        kinds = ["forward"]
        if torch.is_grad_enabled() and (of_weights or of_pixels):
            kinds = ["search"] * of_pixels + ["train"] * of_weights * (1 + of_pixels)
        for kind in kinds:
            self.counts[kind] += len(images)
        logits: Tensor = self.head(images.mean(dim=(2, 3)))
        return logits

    def passes(self) -> dict[str, float]:
        """Of an image of a batch of BATCH, how many of each kind."""
        return {kind: count / BATCH for kind, count in self.counts.items()}


class Counts(dict[str, int]):
    """Numbers by kind; a copied network counts where its original does."""

    def __deepcopy__(self, memo: Any) -> "Counts":
        return self


def pictures() -> ImageSet:
    """IMAGES random ones, which cost nothing either."""
    pixels = torch.randint(256, (IMAGES, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels.to(torch.uint8), torch.arange(IMAGES) % CLASSES, tuple("abcdefghij"))
