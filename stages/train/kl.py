"""KL divergences between predictions, and the search that maximizes one (TRADES; Zhang et al., 2019)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.images.perturb import perturb, searching
from stages.train.batch import Batch, Context


def per_example_kl(logits: Tensor, logits_adv: Tensor) -> Tensor:
    """(B,) KL(p(x) || p(x')) from logits (B, K) of x and x'."""
    log_p, log_p_adv = logits.log_softmax(1), logits_adv.log_softmax(1)
    return F.kl_div(log_p_adv, log_p, log_target=True, reduction="none").sum(1)


def perturb_by_kl(model: nn.Module, batch: Batch, context: Context) -> Tensor:
    """x' (B, 3, H, W) that ascends KL(p(x) || p(x')), p(x) held fixed, from the start 0.001 * N(0, 1)."""
    with searching(model) as network:
        with torch.no_grad():
            logits = network(batch.images)
        return perturb(
            network,
            batch.images,
            lambda logits_adv: per_example_kl(logits, logits_adv),
            context.threat,
            replace(context.search, start="gaussian"),
            context.generator,
        )
