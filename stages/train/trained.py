"""The classifier as a training step sees it, in the recipe's precision, compiled where the recipe says so."""

import torch
from torch import Tensor, nn

from stages.core.config.recipe import Precision
from stages.core.models.compiling import Compiled
from stages.core.models.folding import SearchCopy, folded
from stages.core.models.precision import at_precision


class Trained(nn.Module):
    """A classifier whose forward is in the precision given, and which is searched by way of a folded copy."""

    def __init__(self, model: nn.Module, precision: Precision, images: Tensor, compiled: bool = False) -> None:
        super().__init__()
        self.model = Compiled(model) if compiled else model
        self.precision = precision
        self._copy = SearchCopy(model, images, _dtype(precision))
        self._searched = Compiled(self._copy.network) if compiled else self._copy.network

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) float32 of images (B, 3, H, W) in [0, 1]."""
        return at_precision(self.model, images, self.precision)

    def to_search(self) -> nn.Module:
        """The folded copy, with the weights of this moment."""
        self._copy.follow()
        return self._searched


def trained(model: nn.Module, precision: Precision, images: Tensor, compiled: bool = False) -> nn.Module:
    """What a step trains `model` by way of; exact: the model itself. images: some (n, 3, H, W) in [0, 1] to try."""
    return model if precision == "exact" else Trained(model, precision, images, compiled)


def frozen(model: nn.Module, precision: Precision, images: Tensor) -> nn.Module:
    """What a step asks a net that does not train, in eval mode; `images` as for `trained`."""
    return model if precision == "exact" else folded(model, images, _dtype(precision))


def _dtype(precision: Precision) -> torch.dtype:
    return torch.bfloat16 if precision == "bfloat16" else torch.float32
