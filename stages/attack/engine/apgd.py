"""Auto-PGD (Croce & Hein, 2020, Algorithm 1) under L-infinity, on the cross-entropy or on a targeted loss."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.attack.engine.draws import Draws
from stages.attack.engine.points import Points, State, Stepwise, keep_fooling
from stages.core.images.pixels import over_pixels

MOMENTUM = 0.25  # 1 - alpha
RHO = 0.75  # of a window's steps must raise the loss
FIRST_STEP = 2.0  # in units of epsilon
_TINY = 1e-12

Loss = Callable[[Points, Tensor], Tensor]


def cross_entropy(points: Points, logits: Tensor) -> Tensor:
    """CE(f(x), y)."""
    return F.cross_entropy(logits, points.labels, reduction="none")


def targeted_dlr(points: Points, logits: Tensor) -> Tensor:
    """-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2), t the target; 4 classes or more."""
    first, _, third, fourth = logits.topk(4, dim=1).values.unbind(dim=1)
    return targeted_margin(points, logits) / (first - (third + fourth) / 2 + _TINY)


def targeted_margin(points: Points, logits: Tensor) -> Tensor:
    """z_t - z_y, t the target: what is left of the targeted DLR loss below 4 classes."""
    target, true = logits.gather(1, torch.stack([points.target, points.labels], dim=1)).unbind(dim=1)
    return target - true


@cache
def checkpoints(iterations: int) -> dict[int, int]:
    """After which iterations the step size is looked at, and how many lie behind it since the last look (Sec. 3.2).

    As the official code rounds: windows of 22 % of the iterations, each 3 % shorter than the one before, 6 % at least.
    """
    window, shorter, least = (max(int(share * iterations), 1) for share in (0.22, 0.03, 0.06))
    found, last = {}, -1
    while last + window < iterations:
        last += window
        found[last] = window
        window = max(window - shorter, least)
    return found


@dataclass(frozen=True)
class APGD(Stepwise):
    """From a random start."""

    name: str
    loss: Loss
    draws: Draws
    runs: int = 1
    iterations: int = 100
    start_passes: tuple[int, int] = (1, 1)
    passes: tuple[int, int] = (1, 1)

    def begin(self, points: Points) -> State:
        """A random point on the ball's surface, its loss and gradient."""
        noise = 2 * self.draws.uniform(points.indices, points.ranks.unsqueeze(1), points.images[0].numel()) - 1
        noise = noise / (noise.abs().amax(dim=1, keepdim=True) + _TINY)
        x = points.project(points.images + points.epsilon * noise.view_as(points.images))
        logits, loss, gradient = points.gradient(x, lambda logits: self.loss(points, logits))
        zeros = torch.zeros_like(loss)
        return {
            "x": x,
            "before": x,
            "gradient": gradient,
            "best": x,
            "best_gradient": gradient,
            "best_loss": loss,
            "step": torch.full_like(loss, FIRST_STEP * points.epsilon),
            "last_loss": zeros,  # the official code compares the first loss with 0
            "rises": zeros,
            "checked_loss": loss,
            "reduced": torch.ones_like(points.labels, dtype=torch.bool),
            "found": x,
            "fooled": points.misclassified(logits),
        }

    def step(self, points: Points, state: State, iteration: int) -> None:
        """Step, look, and at a checkpoint halve the step size of the points that make no headway."""
        x, before = state["x"], state["before"]
        step = points.project(x + over_pixels(state["step"]) * state["gradient"].sign())
        if iteration > 0:
            step = points.project(x + (1 - MOMENTUM) * (step - x) + MOMENTUM * (x - before))
        logits, loss, gradient = points.gradient(step, lambda logits: self.loss(points, logits))
        keep_fooling(state, step, points.misclassified(logits))

        better = loss > state["best_loss"]
        state["best"] = torch.where(over_pixels(better), step, state["best"])
        state["best_gradient"] = torch.where(over_pixels(better), gradient, state["best_gradient"])
        state["best_loss"] = torch.where(better, loss, state["best_loss"])
        if iteration == self.iterations - 1:
            state["found"] = torch.where(over_pixels(state["fooled"]), state["found"], state["best"])
        state["rises"] = state["rises"] + (loss > state["last_loss"])
        state["x"], state["before"], state["gradient"], state["last_loss"] = step, x, gradient, loss
        window = checkpoints(self.iterations).get(iteration)
        if window is not None:
            self._look_back(state, window)

    def _look_back(self, state: State, window: int) -> None:
        """Algorithm 1, lines 13 to 17: where condition 1 or 2 holds, go on from the best point in half steps."""
        oscillates = state["rises"] <= RHO * window
        stalls = ~state["reduced"] & (state["checked_loss"] >= state["best_loss"])
        halve = oscillates | stalls
        state["step"] = torch.where(halve, state["step"] / 2, state["step"])
        state["x"] = torch.where(over_pixels(halve), state["best"], state["x"])
        state["gradient"] = torch.where(over_pixels(halve), state["best_gradient"], state["gradient"])
        state["reduced"], state["checked_loss"] = halve, state["best_loss"]
        state["rises"] = torch.zeros_like(state["rises"])
