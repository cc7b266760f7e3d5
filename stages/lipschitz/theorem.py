"""Theorem 1's radius with an estimated L_x, and adversarial examples inside it.

    r = min(delta, (p_a - p_b) / (2 L_x)),   a and b the most and second-most likely class (Eq. 12 and 13)

L_x is an estimate from below, so r is one from above: optimistic, and no certificate. Where an image within r has
another prediction, L_x was too low: on the way there p_a - p_b has changed by all of itself, for which p must change by
(p_a - p_b) / sqrt(2) or more, and that over less than r is a ratio of more than sqrt(2) L_x.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from stages.core.images.perturb import perturb
from stages.core.images.pixels import over_pixels
from stages.core.images.search import Search
from stages.core.images.threat import Threat, per_image_l2
from stages.lipschitz.ascent import STEPS_ACROSS, TINY, margin

INSIDE = 1 - 1e-6  # of a radius: rounding to float32 then leaves no ball


@dataclass(frozen=True)
class OwnBalls(Threat):
    """L2 balls of which each image has its own radius (B,); epsilon: the largest, which a step size is relative to."""

    radii: Tensor

    @classmethod
    def of(cls, radii: Tensor) -> "OwnBalls":
        """Those of these radii."""
        return cls("l2", float(radii.max()), radii)

    def project(self, images: Tensor, x_adv: Tensor) -> Tensor:
        """The point of each image's ball and the box that belongs to x_adv (B, C, H, W)."""
        change = x_adv - images
        length = per_image_l2(change).clamp_min(torch.finfo(change.dtype).tiny)
        return (images + change * over_pixels((self.radii / length).clamp_max(1.0))).clamp(0.0, 1.0)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The direction that ascends the most, as long as the image's radius is a part of the largest."""
        return super().steepest(gradient) * over_pixels(self.radii / self.epsilon)


def radius(p: Tensor, ratio: Tensor, delta: float) -> Tensor:
    """Theorem 1's (B,) for probabilities p (B, K) and L_x (B,); delta where the probabilities do not change at all."""
    most, second = p.topk(2, dim=1).values.unbind(dim=1)
    return ((most - second) / (2 * ratio).clamp_min(TINY)).clamp_max(delta)


def distance_inside(
    model: nn.Module,
    images: Tensor,
    predicted: Tensor,
    radii: Tensor,
    starts: int,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """(B,) float64: the distance of the nearest adversarial example found inside each radius (B,); infinite for none.

    An example is an image of the box to which the model, in eval mode, gives another class than `predicted` (B,). The
    attack is PGD on the margin, a step a quarter of the radius; distances are measured in float64.
    """
    balls = OwnBalls.of((radii * INSIDE).to(images.dtype))
    search = Search(balls.epsilon / STEPS_ACROSS, steps)
    nearest = torch.full_like(radii, torch.inf)
    for _ in range(starts):
        x_adv = perturb(model, images, partial(margin, predicted=predicted), balls, search, generator)
        with torch.no_grad():
            changed = model(x_adv).argmax(dim=1) != predicted
        distance = per_image_l2(x_adv.double() - images.double())
        inside = changed & (distance > 0) & (distance <= radii)
        nearest = torch.where(inside, torch.minimum(nearest, distance), nearest)
    return nearest
