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
# A pass costs what it costs with so many pixels at least: full ones ask a point's next queries ahead of their turn.
FULL = {"cpu": 2**14, "cuda": 2**17}


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
        lead = self._lead(points, x.unsqueeze(1)).squeeze(1)
        return {"found": x, "lead": lead, "fooled": lead >= 0}

    def advance(self, points: Points, state: State, iterations: range) -> None:
        """Set a square of each point to its extremes, a channel to one of them, and keep it where the margin gains.

        While none gains, the next query is known before this one is answered: its numbers are the point's own and it
        starts from the same image. So where few points are left, a pass asks several queries of each; what was asked
        after one that gains is thrown away and asked again, and every point goes the way that it goes one by one.
        """
        channels, height, width = points.images.shape[1:]
        device = points.images.device
        numbers = self.draws.sequence(points.indices, iterations.start + 1, len(iterations), 2 + channels)
        sizes = torch.zeros(len(iterations), dtype=torch.int64, device=device)
        for place, iteration in enumerate(iterations):
            if place == 0 or side(iteration, height, width) != side(iteration - 1, height, width):
                sizes[place:] = side(iteration, height, width)  # filled on the device
        ahead = min(max(FULL.get(device.type, 0) // max(points.images.numel(), 1), 1), len(iterations))
        turns = torch.arange(ahead, device=device)
        asked = torch.zeros_like(points.labels)
        for _ in iterations:
            turn = asked.unsqueeze(1) + turns
            query = turn.clamp_max(len(iterations) - 1)
            chosen = numbers.gather(1, query.unsqueeze(2).expand(-1, -1, 2 + channels))
            x = _with_squares(points, state["found"], chosen, sizes[query])
            lead = self._lead(points, x)
            gains = (lead > state["lead"].unsqueeze(1)) & (turn < len(iterations))
            first = torch.where(gains, turns, ahead).amin(dim=1)
            better, at = first < ahead, first.clamp_max(ahead - 1)
            x = x.gather(1, at.view(-1, 1, 1, 1, 1).expand(-1, 1, channels, height, width)).squeeze(1)
            lead = lead.gather(1, at.unsqueeze(1)).squeeze(1)
            state["found"] = torch.where(over_pixels(better), x, state["found"])
            state["lead"] = torch.where(better, lead, state["lead"])
            state["fooled"] = state["fooled"] | (better & (lead >= 0))
            asked = asked + at + 1
            if ahead > 1 and bool((asked >= len(iterations)).all()):
                break

    @staticmethod
    def _lead(points: Points, x_adv: Tensor) -> Tensor:
        """(n, q) margins of (n, q, C, H, W)."""
        with torch.no_grad():
            logits = points.network(x_adv.flatten(0, 1))
        return margin(logits, points.labels.repeat_interleave(x_adv.shape[1])).view(x_adv.shape[:2])


def _with_squares(points: Points, images: Tensor, numbers: Tensor, sizes: Tensor) -> Tensor:
    """Images (n, C, H, W), each with a square for each of its queries: (n, q, C, H, W); sizes (n, q).

    numbers: (n, q, 2 + C) in [0, 1), the square's row and column and whether each channel goes up.
    """
    height, width = images.shape[-2:]
    rows, columns = _span(numbers[..., 0], sizes, height), _span(numbers[..., 1], sizes, width)
    window = (rows.unsqueeze(-1) & columns.unsqueeze(-2)).unsqueeze(2)
    up = numbers[..., 2:, None, None] >= 0.5
    extreme = torch.where(up, points.highest.unsqueeze(1), points.lowest.unsqueeze(1))
    return torch.where(window, extreme, images.unsqueeze(1))


def _span(number: Tensor, size: Tensor, length: int) -> Tensor:
    """(…, length) whether each row, or column, is in the window of `size` that begins at a uniform place.

    number: (…) in [0, 1). As in the official code a window of less than the whole never touches the far edge.
    """
    start = (number * (length - size)).long().unsqueeze(-1)
    place = torch.arange(length, device=number.device)
    return (place >= start) & (place < start + size.unsqueeze(-1))
