"""HAT objective: helper-based adversarial training (Rade and Moosavi-Dezfooli, 2022)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.config.quantities import NonNegative, Number
from stages.core.errors import ConfigError
from stages.train.batch import Batch, Context, Metrics, Scored, Targets, forwards
from stages.train.kl import per_example_kl, perturb_by_kl

ADVERSARIAL = True
NEEDS_HELPER = True


def hat_loss(
    logits: Tensor,
    logits_adv: Tensor,
    logits_helper: Tensor,
    helper_labels: Tensor,
    targets: Targets,
    *,
    beta: float,
    gamma: float,
) -> tuple[Tensor, Metrics]:
    """CE(f(x), y) + beta * KL(p(x) || p(x')) + gamma * CE(f(x + h (x' - x)), y_helper), averaged over the batch.

    logits, logits_adv, logits_helper: (B, K) at x, x' and the helper image; helper_labels: (B,), what a standard
    net predicts at x'.
    """
    natural = targets.mix(lambda labels: F.cross_entropy(logits, labels))
    robust = per_example_kl(logits, logits_adv).mean()
    helper = F.cross_entropy(logits_helper, helper_labels)
    metrics = {"natural_loss": natural.detach(), "robust_loss": robust.detach(), "helper_loss": helper.detach()}
    return natural + beta * robust + gamma * helper, metrics


def hat(
    model: nn.Module,
    batch: Batch,
    context: Context,
    *,
    beta: NonNegative = 2.5,
    gamma: NonNegative = 0.5,
    h: Number = 2.0,
) -> Scored:
    """The HAT loss; x' as in TRADES; the helper image is not clipped; forwards of x, x', helper, in this order."""
    if context.helper is None:
        raise ConfigError("objective hat needs a helper net; name a standard method under the method's `helper`")
    x_adv = perturb_by_kl(model, batch, context)
    x_helper = batch.images + h * (x_adv - batch.images)
    with torch.no_grad():
        helper_labels = context.helper(x_adv).argmax(1)
    (logits, logits_adv, logits_helper), extra_logits = forwards(model, batch, batch.images, x_adv, x_helper)
    loss, metrics = hat_loss(logits, logits_adv, logits_helper, helper_labels, batch.targets, beta=beta, gamma=gamma)
    return Scored(loss, logits_adv, extra_logits, metrics)
