"""The classifier as a training step sees it, in the recipe's precision."""

import torch
from torch import Tensor, nn

from stages.core.config.recipe import Precision
from stages.core.models.folding import SearchCopy, folded
from stages.core.models.precision import at_precision


class Trained(nn.Module):
    """A classifier whose forward is in the precision given, and which is searched by way of a folded copy."""

    def __init__(self, model: nn.Module, precision: Precision, images: Tensor) -> None:
        super().__init__()
        self.model = model
        self.precision = precision
        self._copy = SearchCopy(model, images, _dtype(precision))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) float32 of images (B, 3, H, W) in [0, 1]."""
        return at_precision(self.model, images, self.precision)

    def to_search(self) -> nn.Module:
        """The folded copy, with the weights of this moment."""
        return self._copy.follow()


def trained(model: nn.Module, precision: Precision, images: Tensor) -> nn.Module:
    """What a step trains `model` by way of; exact: the model itself. images: some (n, 3, H, W) in [0, 1] to try."""
    return model if precision == "exact" else Trained(model, precision, images)


def frozen(model: nn.Module, precision: Precision, images: Tensor) -> nn.Module:
    """What a step asks a net that does not train, in eval mode; `images` as for `trained`."""
    return model if precision == "exact" else folded(model, images, _dtype(precision))


def _dtype(precision: Precision) -> torch.dtype:
    return torch.bfloat16 if precision == "bfloat16" else torch.float32
