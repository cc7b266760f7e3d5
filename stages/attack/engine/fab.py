"""FAB, targeted (Croce & Hein, 2020, "Minimally distorted adversarial examples", Algorithm 1) under L-infinity."""

from dataclasses import dataclass

import torch
from torch import Tensor

from stages.attack.engine.apgd import targeted_margin
from stages.attack.engine.points import Points, State, Stepwise, keep_fooling
from stages.core.images.pixels import over_pixels

LARGEST_PULL = 0.1  # alpha_max: how far an iterate is biased towards the image
OVERSHOOT = 1.05  # eta
BACKWARD = 0.9  # beta
NEWTON_STEPS = 8  # 6 settle every case that was tried, a large step in a narrow box included
_SMALLEST = 1e-8
_TINY = 1e-12


def toward_hyperplane(start: Tensor, normal: Tensor, gap: Tensor) -> Tensor:
    """(n, d) the L-infinity smallest step from start that takes <normal, x> down by gap inside the box [0, 1].

    start, normal: (n, d); gap: (n,) of any sign. Where the box does not let it get there, as far as it goes. The step
    is r_i = min(size, room_i) a pixel, where size solves sum_i |normal_i| r_i = |gap|: a concave, piecewise linear
    equation, which Newton's method solves from below and exactly, once it is on the right piece.
    """
    direction = -normal.sign() * torch.where(gap >= 0, 1.0, -1.0).unsqueeze(1)
    room = torch.where(direction > 0, 1 - start, start)
    slope, gap = normal.abs(), gap.abs().unsqueeze(1)
    size = torch.zeros_like(gap)
    for _ in range(NEWTON_STEPS):
        moving = torch.where(room > size, slope, 0.0)
        held = ((slope - moving) * room).sum(dim=1, keepdim=True)
        size = torch.maximum(size, (gap - held) / moving.sum(dim=1, keepdim=True).clamp_min(_TINY))
    return direction * torch.minimum(size, room)


@dataclass(frozen=True)
class FAB(Stepwise):
    """From the image towards the boundary to the target."""

    name: str
    runs: int
    iterations: int = 100
    start_passes: tuple[int, int] = (0, 0)
    passes: tuple[int, int] = (2, 1)

    def begin(self, points: Points) -> State:
        """The image itself."""
        x = points.images
        return {"x": x, "found": x, "fooled": torch.zeros_like(points.labels, dtype=torch.bool)}

    def step(self, points: Points, state: State, iteration: int) -> None:
        """A biased step over the linearized boundary; from behind it, back towards the image."""
        image, x = points.images.flatten(1), state["x"].flatten(1)
        _, lead, gradient = points.gradient(state["x"], lambda logits: targeted_margin(points, logits))
        normal = gradient.flatten(1)
        # The plane where the linearized margin is 0; its value is `lead` at x and this at the image.
        at_image = lead + (normal * (image - x)).sum(dim=1)
        step = toward_hyperplane(torch.cat([x, image]), normal.repeat(2, 1), torch.cat([lead, at_image]))
        from_x, from_image = step.chunk(2)
        length, length_from_image = step.abs().amax(dim=1, keepdim=True).clamp_min(_SMALLEST).chunk(2)
        pull = (length / (length + length_from_image)).clamp_max(LARGEST_PULL)
        x = (1 - pull) * (x + OVERSHOOT * from_x) + pull * (image + OVERSHOOT * from_image)
        x = x.clamp(0.0, 1.0).view_as(points.images)

        with torch.no_grad():
            over = points.misclassified(points.network(x))
        inside = (x - points.images).flatten(1).abs().amax(dim=1) <= points.epsilon
        keep_fooling(state, x, over & inside)
        back = points.images + BACKWARD * (x - points.images)
        state["x"] = torch.where(over_pixels(over), back, x)
