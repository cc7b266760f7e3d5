"""TRADES objective (Zhang et al., 2019)."""

import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.config.quantities import NonNegative
from stages.train.batch import Batch, Context, Metrics, Scored, Targets, forwards
from stages.train.kl import per_example_kl, perturb_by_kl

ADVERSARIAL = True


def trades_loss(logits: Tensor, logits_adv: Tensor, targets: Targets, *, beta: float) -> tuple[Tensor, Metrics]:
    """CE(f(x), y) + beta * KL(p(x) || p(x')), averaged over the batch; p(x) is not detached.

    logits, logits_adv: (B, K) for x and x'; beta: 1/lambda in the paper.
    """
    natural = targets.mix(lambda labels: F.cross_entropy(logits, labels))
    robust = per_example_kl(logits, logits_adv).mean()
    return natural + beta * robust, {"natural_loss": natural.detach(), "robust_loss": robust.detach()}


def trades(model: nn.Module, batch: Batch, context: Context, *, beta: NonNegative = 6.0) -> Scored:
    """The TRADES loss; x' ascends its KL term; x and x' go through forwards of their own, in this order."""
    x_adv = perturb_by_kl(model, batch, context)
    (logits, logits_adv), extra_logits = forwards(model, batch, batch.images, x_adv)
    loss, metrics = trades_loss(logits, logits_adv, batch.targets, beta=beta)
    return Scored(loss, logits_adv, extra_logits, metrics)
