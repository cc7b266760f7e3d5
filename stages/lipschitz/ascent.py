"""The local Lipschitz constant of the probability vector p = softmax(f) (Section 3.3, Eq. 14 and 15), from below.

    L_x = max ||p(x') - p(x)|| / ||x' - x||   over x' in the L2 ball of radius delta around x and in the box [0, 1]

Gradient ascent on the logarithm of that ratio, from several starts; the largest ratio on all paths counts. A step goes
a share of the present distance to x, so that the distance may change by orders of magnitude on the way. Starts are
random directions at distances from delta down to delta / 1000, where the ratio is that of the Jacobian at x and its
maximum the Jacobian's largest singular value; and what an attack finds, as random directions cross no boundary.

Logits become float64 before the softmax: of a confident network p hardly differs from 1 in float32, and no ascent
would leave such a point. Their own rounding stays, and close to x a ratio may be made of it: a change of p counts only
where it is SURE times what rounding the logits may do to p, |dp_k| <= 2 p_k (1 - p_k) max|df|.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stages.core.images.perturb import perturb, searching
from stages.core.images.pixels import over_pixels
from stages.core.images.search import Search
from stages.core.images.threat import Threat, per_image_l2, standard_normal

SHORTEST = 1e-3  # of delta; below it p is linear in x', and rounding begins to count
STRIDE = 0.5  # of the distance to x, in the first step; from there it falls to 0
STEPS_ACROSS = 4  # of the attack, from the middle of the ball to its rim
SURE = 100
TINY = 1e-300


class Steepest(NamedTuple):
    """(B,) float64: the largest ratio that was met around each image, and the distance to the image where it was."""

    ratio: Tensor
    distance: Tensor

    def or_steeper(self, other: "Steepest") -> "Steepest":
        """Of each image the larger ratio."""
        better = other.ratio > self.ratio
        return Steepest(
            torch.where(better, other.ratio, self.ratio), torch.where(better, other.distance, self.distance)
        )


def probabilities(logits: Tensor) -> Tensor:
    """(B, K) float64."""
    return logits.double().softmax(dim=1)


def rounding(logits: Tensor, p: Tensor) -> Tensor:
    """(B,) float64: how far p (B, K) may be off for the rounding of its logits."""
    off = torch.finfo(logits.dtype).eps * logits.detach().abs().amax(dim=1).double()
    return 2 * off * (p * (1 - p)).norm(dim=1)


def margin(logits: Tensor, predicted: Tensor) -> Tensor:
    """(B,): how far the best other class lies above the predicted one; positive where the prediction has changed."""
    own = predicted.unsqueeze(1)
    return logits.scatter(1, own, -torch.inf).amax(dim=1) - logits.gather(1, own).squeeze(1)


def lipschitz(
    model: nn.Module, images: Tensor, p: Tensor, delta: float, starts: int, steps: int, generator: torch.Generator
) -> Steepest:
    """L_x of each of images (B, C, H, W) in [0, 1], from below. model: in eval mode; p: its (B, K) on the images."""
    predicted = p.argmax(dim=1)
    search = Search(delta / STEPS_ACROSS, steps)
    attacked = perturb(model, images, partial(margin, predicted=predicted), Threat("l2", delta), search, generator)
    steepest = Steepest(torch.zeros_like(p[:, 0]), torch.zeros_like(p[:, 0]))
    with searching(model) as network, torch.enable_grad():
        for start in (*random_starts(images, delta, starts, generator), within(images, attacked, delta)):
            steepest = steepest.or_steeper(ascend(network, images, p, start, delta, steps))
    return steepest


def random_starts(images: Tensor, delta: float, number: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Points (B, C, H, W) in random directions, at distances from delta down to SHORTEST * delta in equal ratios.

    A pixel that would leave the box moves the other way.
    """
    for place in range(number):
        distance = delta * SHORTEST ** (place / max(1, number - 1))
        direction = Threat("l2", delta).steepest(standard_normal(images, generator)) * distance
        leaves = (images + direction < 0) | (images + direction > 1)
        yield within(images, images + torch.where(leaves, -direction, direction), delta)


def within(images: Tensor, x: Tensor, delta: float) -> Tensor:
    """The point of the box that belongs to x, its distance to the image between SHORTEST * delta and delta."""
    change = x - images
    length = per_image_l2(change)
    wanted = length.clamp(SHORTEST * delta, delta) / length.clamp_min(torch.finfo(length.dtype).tiny)
    return (images + change * over_pixels(wanted)).clamp(0.0, 1.0)


def ascend(network: nn.Module, images: Tensor, p: Tensor, x: Tensor, delta: float, steps: int) -> Steepest:
    """The steepest point on one path from x (B, C, H, W). p: (B, K) of the images."""
    steepest = Steepest(torch.zeros_like(p[:, 0]), torch.zeros_like(p[:, 0]))
    for step in range(steps + 1):
        x = x.detach().requires_grad_(step < steps)
        logits = network(x)
        moved = probabilities(logits)
        change = (moved - p).norm(dim=1)
        distance = per_image_l2(x.double() - images.double())
        sure = change > SURE * (rounding(logits, p) + rounding(logits, moved))
        ratio = (change / distance.clamp_min(TINY)).masked_fill(~sure, 0.0).detach()
        steepest = steepest.or_steeper(Steepest(ratio, distance.detach()))
        if step < steps:
            goal = change.clamp_min(TINY).log() - distance.clamp_min(TINY).log()
            (gradient,) = torch.autograd.grad(goal.sum(), x)
            stride = STRIDE * (1 - step / steps) * distance.detach().to(x.dtype)
            x = within(images, x.detach() + over_pixels(stride) * _direction(x.detach(), gradient), delta)
    return steepest


def _direction(x: Tensor, gradient: Tensor) -> Tensor:
    """The unit gradient of the pixels that can follow it: one at the edge of the box does not leave it."""
    held = ((x <= 0) & (gradient < 0)) | ((x >= 1) & (gradient > 0))
    free = gradient.masked_fill(held, 0.0)
    return free / over_pixels(per_image_l2(free).clamp_min(torch.finfo(free.dtype).tiny))
