"""Input-gradient regularization (Drucker and LeCun, 1992) in the norm dual to the ball's (Finlay and Oberman, 2021)."""

import torch
import torch.nn.functional as F
from torch import nn

from stages.core.config.quantities import NonNegative
from stages.train.batch import Batch, Context, Scored

ADVERSARIAL = False
UNCOMPILED = True


def gradient_norm(model: nn.Module, batch: Batch, context: Context, *, weight: NonNegative = 1.0) -> Scored:
    """CE(f(x), y) + weight * epsilon * |d CE(f(x), y) / dx|_*, averaged over the batch; one forward as in `ce`.

    |.|_* is the L1 norm of an L-infinity ball and the L2 norm of an L2 ball: at weight 1 the loss is CE's largest
    value in the ball, to first order in epsilon. The gradient is that of the batch's sum in train mode, so it holds
    what an image does to the others through batch norm's statistics, too.
    """
    images = batch.images.detach().requires_grad_()
    together = model(images if batch.extras is None else torch.cat([images, batch.extras]))
    logits, extra_logits = together[: len(images)], None if batch.extras is None else together[len(images) :]
    total = batch.targets.mix(lambda labels: F.cross_entropy(logits, labels, reduction="sum"))
    (gradient,) = torch.autograd.grad(total, images, create_graph=True)
    dual = gradient.flatten(1).norm(p=1 if context.threat.norm == "linf" else 2, dim=1).mean()
    natural = total / len(images)
    metrics = {"natural_loss": natural.detach(), "gradient_norm": dual.detach()}
    return Scored(natural + weight * context.threat.epsilon * dual, logits, extra_logits, metrics)
