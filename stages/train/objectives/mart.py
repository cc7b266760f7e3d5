"""MART objective: misclassification-aware adversarial training (Wang et al., 2020)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.config.quantities import NonNegative
from stages.core.images.perturb import perturb
from stages.train.batch import Batch, Context, Metrics, Scored, Targets, forwards

ADVERSARIAL = True

# The constants of the authors' code: they keep both logarithms finite.
MARGIN_ONE = 1.0001
WEIGHT_ONE = 1.0000001
TINY = 1e-12


def mart_loss(logits: Tensor, logits_adv: Tensor, targets: Targets, *, beta: float) -> tuple[Tensor, Metrics]:
    """BCE(x', y) + beta * KL(p(x) || p(x')) * (1 - p_y(x)), averaged over the batch; nothing is detached.

    BCE(x', y) = CE(f(x'), y) - log(1.0001 - max_{k != y} p_k(x') + 1e-12); logits, logits_adv: (B, K).
    """
    probability = logits.softmax(1).clamp_min(TINY)
    probability_adv = logits_adv.softmax(1)
    divergence = (probability * (probability.log() - probability_adv.clamp_min(TINY).log())).sum(1)

    def boosted(labels: Tensor) -> Tensor:
        true_class = F.one_hot(labels, logits.shape[1]).bool()
        runner_up = probability_adv.masked_fill(true_class, 0.0).amax(1)
        return F.cross_entropy(logits_adv, labels) - torch.log(MARGIN_ONE - runner_up + TINY).mean()

    def weighted(labels: Tensor) -> Tensor:
        true_probability = probability.gather(1, labels.unsqueeze(1)).squeeze(1)
        return (divergence * (WEIGHT_ONE - true_probability)).mean()

    adversarial, robust = targets.mix(boosted), targets.mix(weighted)
    return adversarial + beta * robust, {"adversarial_loss": adversarial.detach(), "robust_loss": robust.detach()}


def mart(model: nn.Module, batch: Batch, context: Context, *, beta: NonNegative = 5.0) -> Scored:
    """The MART loss; x' ascends CE from the start 0.001 * N(0, 1)."""
    x_adv = perturb(
        model,
        batch.images,
        lambda logits: batch.targets.mix(lambda labels: F.cross_entropy(logits, labels, reduction="none")),
        context.threat,
        replace(context.search, start="gaussian"),
        context.generator,
    )
    (logits, logits_adv), extra_logits = forwards(model, batch, batch.images, x_adv)
    loss, metrics = mart_loss(logits, logits_adv, batch.targets, beta=beta)
    return Scored(loss, logits_adv, extra_logits, metrics)
