"""What an attack of the engine is given: points, the network to search with, and where they may go."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


@dataclass(frozen=True)
class Points:
    """n points under an L-infinity threat; pixels are in [0, 1].

    network: images (n, C, H, W) float32 -> logits (n, K); labels (n,), which no point has left; indices (n,): where
    each stands in the test set, by which its random numbers are found; targets (n, T): the other classes, the likeliest
    at the clean image first; ranks (n,): which of them a search aims at. A point may be there several times, once for
    each of its searches.
    """

    network: nn.Module
    images: Tensor
    labels: Tensor
    indices: Tensor
    targets: Tensor
    ranks: Tensor
    epsilon: float

    def at(self, places: Tensor, ranks: Tensor) -> "Points":
        """The points at `places` (r,), each with its rank; both on the device."""
        parts = {name: getattr(self, name)[places] for name in ("images", "labels", "indices", "targets")}
        return replace(self, **parts, ranks=ranks)

    @cached_property
    def target(self) -> Tensor:
        """(n,) the class that each search aims at."""
        return self.targets.gather(1, self.ranks.unsqueeze(1)).squeeze(1)

    @cached_property
    def lowest(self) -> Tensor:
        """(n, C, H, W) the least that each pixel may be, in ball and box."""
        return (self.images - self.epsilon).clamp_min(0.0)

    @cached_property
    def highest(self) -> Tensor:
        """(n, C, H, W) the most that each pixel may be."""
        return (self.images + self.epsilon).clamp_max(1.0)

    def project(self, x_adv: Tensor) -> Tensor:
        """The nearest images in ball and box."""
        return torch.clamp(x_adv, self.lowest, self.highest)

    def misclassified(self, logits: Tensor) -> Tensor:
        """(n,) whether another class than the label's has the largest logit."""
        return logits.argmax(dim=1) != self.labels

    def gradient(self, x_adv: Tensor, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(logits, losses (n,), the losses' gradient at x_adv); loss: logits (n, K) -> (n,)."""
        at = x_adv.detach().requires_grad_(True)
        with torch.enable_grad():
            logits = self.network(at)
            losses = loss(logits)
        (gradient,) = torch.autograd.grad(losses.sum(), at)
        return logits.detach(), losses.detach(), gradient


class Algorithm(Protocol):
    """A search that all points of a batch go through in step; each by itself, whoever else is in the batch.

    Where `runs` is more than one, every point is searched that often side by side, once for each rank from 0. The state
    holds one entry a search in every tensor. Two of them are read from outside: `found` (n, C, H, W), an image that the
    network gets wrong, where `fooled` (n,) says that there is one; else the best image so far.
    """

    @property
    def name(self) -> str:
        """What outcomes call it."""
        ...

    @property
    def iterations(self) -> int:
        """How many every point gets."""
        ...

    @property
    def runs(self) -> int:
        """How many searches every point gets."""
        ...

    @property
    def start_passes(self) -> tuple[int, int]:
        """(forwards, backwards) of the start."""
        ...

    @property
    def passes(self) -> tuple[int, int]:
        """(forwards, backwards) of an iteration."""
        ...

    def begin(self, points: Points) -> State:
        """The state before the first iteration."""
        ...

    def advance(self, points: Points, state: State, iterations: range) -> None:
        """These iterations, of those counted from 0, upon the state; nothing within one is read on the host."""
        ...


class Stepwise(ABC):
    """What goes one iteration after another."""

    @abstractmethod
    def step(self, points: Points, state: State, iteration: int) -> None:
        """One iteration upon the state."""

    def advance(self, points: Points, state: State, iterations: range) -> None:
        """See `Algorithm`."""
        for iteration in iterations:
            self.step(points, state, iteration)


def keep_fooling(state: State, x_adv: Tensor, fooling: Tensor) -> None:
    """Keep the images of x_adv that the network gets wrong as found; fooling: (n,)."""
    state["found"] = torch.where(fooling.view(-1, 1, 1, 1), x_adv, state["found"])
    state["fooled"] = state["fooled"] | fooling
