"""Activations by name, what both backbones have between their layers."""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor

Activation = Callable[[Tensor], Tensor]
SHARPNESS = 10.0

# In place where no gradient needs what is overwritten: of all these the rectifier's alone is known from its output.
ACTIVATIONS: dict[str, Activation] = {
    "relu": partial(F.relu, inplace=True),
    "softplus": partial(F.softplus, beta=SHARPNESS),
    "gelu": F.gelu,
    "silu": F.silu,
}
