"""AugMix (Hendrycks et al., 2020): two more views of each image, and a loss that keeps the three predictions close."""

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stages.core.config.quantities import NonNegative, Positive
from stages.train.augmentations._augmix_ops import LEVELS, OPERATIONS, apply_operations
from stages.train.augmentations._draws import beta, dirichlet, uniform, whole
from stages.train.batch import Augmented, Targets

VIEWS = 2
LEAST_SEVERE = 0.1
LEAST_MEAN = 1e-7


def augmix(
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    coefficient: NonNegative = 12.0,
    width: Annotated[int, Field(ge=1, le=100)] = 3,
    max_depth: Annotated[int, Field(ge=1, le=100)] = 3,
    severity: Annotated[float, Field(ge=0.1, le=10)] = 3.0,
    alpha: Positive = 1.0,
) -> Augmented:
    """The images as they are, two views of them, and coefficient * Jensen-Shannon divergence as their consistency.

    images: (B, 3, H, W) in [0, 1]; labels: (B,); width: chains a view mixes; max_depth: a chain's greatest length;
    severity: the greatest strength of an operation (the paper's is 3); alpha: concentration of the mixing weights.
    """
    views = mixed_views(images, generator, width=width, max_depth=max_depth, severity=severity, alpha=alpha)
    return Augmented(images, Targets(labels), views, lambda logits: coefficient * jensen_shannon(logits))


def jensen_shannon(logits: Sequence[Tensor]) -> Tensor:
    """(1/n) sum_i KL(p_i || p_bar), averaged over the batch; p_bar is the mean of the p_i, clamped to [1e-7, 1].

    logits: n tensors (B, K), of an image and its views.
    """
    log_p = torch.stack([each.log_softmax(1) for each in logits])
    log_mean = log_p.exp().mean(0).clamp(LEAST_MEAN, 1).log()
    divergences = [F.kl_div(log_mean, each, log_target=True, reduction="batchmean") for each in log_p]
    return torch.stack(divergences).mean()


def mixed_views(
    images: Tensor, generator: torch.Generator, *, width: int, max_depth: int, severity: float, alpha: float
) -> tuple[Tensor, ...]:
    """Views (B, 3, H, W) in [0, 1]: (1 - m) x + m sum_j w_j chain_j(x), w ~ Dirichlet(alpha), m ~ Beta(alpha, alpha).

    Chains see images of 256 levels. All chains of all views are one batch, so a step costs what the images in it do.
    """
    batch = len(images)
    weights = dirichlet(VIEWS * batch, width, alpha, generator).view(VIEWS, batch, width)
    shares = beta(VIEWS * batch, alpha, generator).view(VIEWS, batch, 1)
    levels = (images * (LEVELS - 1)).round().to(torch.uint8)
    chained = run_chains(levels.repeat_interleave(width, 0).repeat(VIEWS, 1, 1, 1), generator, max_depth, severity)
    parts = chained.view(VIEWS, batch, width, *images.shape[1:]).to(images.dtype) / (LEVELS - 1)
    amounts = (shares * weights).to(images, non_blocking=True)[..., None, None, None]
    kept = (1 - shares).to(images, non_blocking=True)[..., None, None]
    return tuple((kept * images + (amounts * parts).sum(2)).clamp_(0, 1).unbind(0))


def run_chains(images: Tensor, generator: torch.Generator, max_depth: int, severity: float) -> Tensor:
    """Each of images (K, 3, H, W) uint8 through 1 to max_depth operations, drawn with their severities and signs."""
    chains = len(images)
    images = images.clone()
    depths = whole(1, max_depth + 1, (chains,), generator)
    operations = whole(0, len(OPERATIONS), (max_depth, chains), generator)
    severities = uniform((max_depth, chains), LEAST_SEVERE, severity, generator)
    signs = 2.0 * whole(0, 2, (max_depth, chains), generator) - 1
    for step in range(max_depth):
        rows = (depths > step).nonzero().squeeze(1)
        here = rows.to(images.device, non_blocking=True)
        images[here] = apply_operations(images[here], operations[step, rows], severities[step, rows], signs[step, rows])
    return images
