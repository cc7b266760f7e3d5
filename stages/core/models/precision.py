"""The precision that a network is trained in: what autocast makes of it, and where autocast must not reach.

In bfloat16 the numbers between 1/2 and 1 are 1/256 apart, as coarse as 8-bit pixels are, and an adversarial image lies
between them; so the first convolution computes in float32. So do pooling and head, for losses are made of small
differences of logits.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from stages.core.config.recipe import Precision


def in_float32(layer: nn.Module, images: Tensor) -> Tensor:
    """layer(images), computed in float32 although autocast would narrow it."""
    kind = _narrowing()
    if kind is None:
        return layer(images)
    with torch.autocast(kind, enabled=False):
        return layer(images)


def narrowed(features: Tensor) -> Tensor:
    """Features as narrow as autocast has them; without it, as they are."""
    kind = _narrowing()
    return features if kind is None else features.to(torch.get_autocast_dtype(kind))


def widened(features: Tensor) -> Tensor:
    """Features that autocast has narrowed, in float32; without it, as they are."""
    return features if _narrowing() is None else features.float()


def _narrowing() -> str | None:
    """Where autocast is on: an image's device may be asked for its name by nobody, for torch.fx traces these."""
    return next((kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)), None)


def at_precision(network: nn.Module, images: Tensor, precision: Precision) -> Tensor:
    """network(images), as training runs it: in the precision given, the result in float32."""
    if precision != "bfloat16":
        return network(images)
    with torch.autocast(images.device.type, torch.bfloat16):
        return network(images)


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Inside, CUDA's float32 convolutions and matrix products round their inputs to TF32 if `allowed`; outside not."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
