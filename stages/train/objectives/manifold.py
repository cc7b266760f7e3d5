"""Manifold regularization (Jin and Rinard, arXiv 2003.04286, 2020): logits and activations that noise hardly moves.

x+ = x + r and x- = x - r, r a random point of the ball's sphere: a corner of an L-infinity ball, as far out as noise
can go. The heat-kernel weight of a pair, exp(-|x+ - x-|^2 / s), is then the same for all pairs and part of the factors.
The points are not cut to [0, 1], or their distances would differ.
"""

import contextlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.config.quantities import NonNegative, Positive
from stages.core.images.threat import standard_normal
from stages.train.batch import Batch, Context, Scored

ADVERSARIAL = False
UNCOMPILED = True


def manifold(
    model: nn.Module,
    batch: Batch,
    context: Context,
    *,
    intrinsic: NonNegative = 0.0,
    hamming: NonNegative = 10.0,
    sharpness: Positive = 10.0,
) -> Scored:
    """CE(f(x), y) + intrinsic * |f(x+) - f(x-)|_2^2 + hamming * H(x+, x-)^2, averaged over the batch; one forward.

    |f(x+) - f(x-)|^2: what is left of the graph Laplacian of all noisy points when only pairs of one image are kept.
    H in [0, 1]: the share of units that are on at one point and off at the other, made smooth (`switched`), the mean
    over the net's batch norms.
    """
    noise = context.threat.epsilon * context.threat.steepest(standard_normal(batch.images, context.generator))
    given = [batch.images, batch.images + noise, batch.images - noise]
    with normalized(model) as layers:
        scored = model(torch.cat(given if batch.extras is None else [*given, batch.extras]))
    (logits, plus, minus), extra_logits = _parts(scored, batch)
    natural = batch.targets.mix(lambda labels: F.cross_entropy(logits, labels))
    moved = (plus - minus).square().sum(1).mean()
    pairs = [_parts(layer, batch)[0][1:] for layer in layers]
    shares = [switched(*pair, sharpness=sharpness) for pair in pairs] or [moved.new_zeros(len(logits))]
    share = torch.stack(shares).mean(0).square().mean()
    metrics = {"natural_loss": natural.detach(), "intrinsic_term": moved.detach(), "hamming_term": share.detach()}
    return Scored(natural + intrinsic * moved + hamming * share, logits, extra_logits, metrics)


def switched(plus: Tensor, minus: Tensor, *, sharpness: float) -> Tensor:
    """(B,) share of units with another sign in `minus` than in `plus`, both (B, …): |tanh(a z+) - tanh(a z-)| / 2.

    A hard sign has no gradient; a: sharpness, at which the share grows to that of the signs.
    """
    precise = torch.promote_types(plus.dtype, torch.float32)
    signs = [(sharpness * side.to(precise)).tanh() for side in (plus, minus)]
    return (signs[0] - signs[1]).abs().flatten(1).mean(1) / 2


@contextlib.contextmanager
def normalized(model: nn.Module) -> Iterator[list[Tensor]]:
    """What the batch norms give out in the forward inside, in order: what most activations take.

    Copies, since an activation may overwrite its input.
    """
    found: list[Tensor] = []
    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [layer.register_forward_hook(lambda _, __, output: found.append(output.clone())) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _parts(outputs: Tensor, batch: Batch) -> tuple[list[Tensor], Tensor | None]:
    """Outputs of one forward of x, x+, x- and the extras, apart."""
    size = len(batch.images)
    parts = outputs[: 3 * size].chunk(3)
    return [*parts], None if batch.extras is None else outputs[3 * size :]
