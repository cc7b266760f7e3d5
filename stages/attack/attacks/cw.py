"""Carlini & Wagner's L2 attack (2017, Sec. V-B and VI-A) at one fixed c: small, not bounded by epsilon.

It solves what torchattacks.CW sets out to solve (tanh space, Adam, no search over c) and differs where that one's
verdict depends on something other than the image:

- every image has its own cost and runs all its steps; there the whole batch stops once its summed cost rises;
- the "other" logit is a maximum over the other classes; there the true class is masked with 0, which wins
  wherever the other logits are negative, so adding a constant to all logits changes the result;
- pixels at 0 or 1 start just inside the open interval and can move; there they sit at infinity and never do;
- the image after the last step is looked at too, and with kappa > 0 success means a margin of kappa or more.
"""

import torch
from torch import Tensor, nn

from stages.attack.margin import margin
from stages.core.config.quantities import Count, NonNegative, Positive
from stages.core.images.perturb import evaluating, without_parameter_gradients
from stages.core.images.pixels import over_pixels
from stages.core.images.threat import Threat

CHOOSES = True
FOLDED = True
UNBOUNDED = True
# Carlini's code scales by 0.999999; there a saturated pixel's gradient sinks to Adam's own 1e-8. Only saturated pixels
# are moved at the start, by (1 - INSIDE) / 2 = 5e-5.
INSIDE = 0.9999


def cw(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    threat: Threat,
    generator: torch.Generator,
    *,
    c: Positive = 0.01,
    kappa: NonNegative = 0.0,
    steps: Count = 50,
    lr: Positive = 0.01,
) -> Tensor:
    """Minimize ||x' - x||_2^2 + c * max(z_y(x') - max_{k != y} z_k(x'), -kappa) over w, x' = (tanh(w) + 1) / 2.

    images: (B, C, H, W) in [0, 1]; labels: (B,); lr: Adam's, in units of w. Returns for each image the smallest
    perturbed image that was misclassified by a margin of at least kappa, or the image itself where none was.
    `threat` and `generator` go unused: nothing is bounded and nothing drawn.
    """
    w = torch.atanh((2 * images - 1).clamp(-INSIDE, INSIDE)).requires_grad_(True)
    optimizer = torch.optim.Adam([w], lr=lr)
    best = images.clone()
    best_size = torch.full_like(labels, torch.inf, dtype=images.dtype)
    with evaluating(model), without_parameter_gradients(model), torch.enable_grad():
        for step in range(steps + 1):
            x_adv = (torch.tanh(w) + 1) / 2
            lead = margin(model(x_adv), labels)
            size = (x_adv - images).square().flatten(1).sum(dim=1)
            better = ((lead > 0) & (lead >= kappa) & (size < best_size)).detach()
            best_size = torch.where(better, size.detach(), best_size)
            best = torch.where(over_pixels(better), x_adv.detach(), best)
            if step < steps:
                cost = size + c * (-lead).clamp_min(-kappa)
                (w.grad,) = torch.autograd.grad(cost.sum(), w)
                optimizer.step()
    return best
