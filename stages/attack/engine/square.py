"""Square Attack (Andriushchenko et al., 2020, Algorithms 1 and 2) under L-infinity, on the margin.

The official code draws one square a query for the whole batch; here every point has its own.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stages.attack.engine.draws import Draws
from stages.attack.engine.points import Points, State
from stages.attack.margin import margin
from stages.core.images.pixels import over_pixels

FIRST_SHARE = 0.8  # of the pixels, in the first squares
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries; not rescaled for other budgets
DRAWN_AT_ONCE = 50  # queries whose random numbers are made together


def side(iteration: int, height: int, width: int) -> int:
    """Of the square of a query: its area is 0.8 of the image's, halved again and again."""
    halvings = sum(iteration > after for after in HALVED_AFTER)
    wanted = round(math.sqrt(FIRST_SHARE / 2**halvings * height * width))
    return min(max(wanted, 1), height, width)


@dataclass(frozen=True)
class Square:
    """Random search from vertical stripes."""

    draws: Draws
    name: str = "square"
    runs: int = 1
    iterations: int = 5000
    start_passes: tuple[int, int] = (1, 0)
    passes: tuple[int, int] = (1, 0)

    def begin(self, points: Points) -> State:
        """Every column of every channel at one of its two extremes."""
        _, channels, _, width = points.images.shape
        up = self.draws.uniform(points.indices, 0, channels * width).view(-1, channels, 1, width) >= 0.5
        x = torch.where(up, points.highest, points.lowest)
        lead = self._lead(points, x)
        numbers = points.images.new_empty(len(lead), DRAWN_AT_ONCE, 2 + channels)
        return {"found": x, "lead": lead, "fooled": lead >= 0, "numbers": numbers}

    def advance(self, points: Points, state: State, iteration: int) -> None:
        """Set a square of each point to its extremes, a channel to one of them, and keep it where the margin gains."""
        height, width = points.images.shape[-2:]
        if iteration % DRAWN_AT_ONCE == 0:
            count = state["numbers"].shape[-1]
            state["numbers"] = self.draws.sequence(points.indices, iteration + 1, DRAWN_AT_ONCE, count)
        numbers = state["numbers"][:, iteration % DRAWN_AT_ONCE]
        size = side(iteration, height, width)
        rows, columns = _span(numbers[:, 0], size, height), _span(numbers[:, 1], size, width)
        window = rows.view(-1, 1, height, 1) & columns.view(-1, 1, 1, width)
        up = numbers[:, 2:, None, None] >= 0.5
        x = torch.where(window, torch.where(up, points.highest, points.lowest), state["found"])
        lead = self._lead(points, x)
        better = lead > state["lead"]
        state["found"] = torch.where(over_pixels(better), x, state["found"])
        state["lead"] = torch.where(better, lead, state["lead"])
        state["fooled"] = state["fooled"] | (better & (lead >= 0))

    @staticmethod
    def _lead(points: Points, x_adv: Tensor) -> Tensor:
        with torch.no_grad():
            return margin(points.network(x_adv), points.labels)


def _span(number: Tensor, size: int, length: int) -> Tensor:
    """(n, length) whether each row, or column, is in the window of `size` that begins at a uniform place.

    number: (n,) in [0, 1). As in the official code a window of less than the whole never touches the far edge.
    """
    start = (number * (length - size)).long().unsqueeze(1)
    place = torch.arange(length, device=number.device)
    return (place >= start) & (place < start + size)
