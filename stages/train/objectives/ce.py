"""Cross-entropy on the given images: vanilla training, and the base of Mixup, CutMix, AugMix and LSP (Eq. 7)."""

import torch
import torch.nn.functional as F
from torch import nn

from stages.train.batch import Batch, Context, Scored

ADVERSARIAL = False


def ce(model: nn.Module, batch: Batch, context: Context) -> Scored:
    """CE(f(x), y), averaged over the batch; images and extras go through one concatenated forward."""
    if batch.extras is None:
        logits, extra_logits = model(batch.images), None
    else:
        together = model(torch.cat([batch.images, batch.extras]))
        logits, extra_logits = together[: len(batch.images)], together[len(batch.images) :]
    loss = batch.targets.mix(lambda labels: F.cross_entropy(logits, labels))
    return Scored(loss, logits, extra_logits)
