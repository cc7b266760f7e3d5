"""Adversarial training on PGD images (Madry et al., 2018); with the LSP term it is LSP+ (Eq. 8-11)."""

from dataclasses import replace

import torch.nn.functional as F
from torch import nn

from stages.core.images.perturb import perturb
from stages.train.batch import Batch, Context, Scored, forwards

ADVERSARIAL = True


def at(model: nn.Module, batch: Batch, context: Context) -> Scored:
    """CE(f(x'), y), averaged over the batch; x' ascends the same CE from a uniform start in the ball."""
    x_adv = perturb(
        model,
        batch.images,
        lambda logits: batch.targets.mix(lambda labels: F.cross_entropy(logits, labels, reduction="none")),
        context.threat,
        replace(context.search, start="uniform"),
        context.generator,
    )
    (logits_adv,), extra_logits = forwards(model, batch, x_adv)
    loss = batch.targets.mix(lambda labels: F.cross_entropy(logits_adv, labels))
    return Scored(loss, logits_adv, extra_logits, {"robust_loss": loss.detach()})
