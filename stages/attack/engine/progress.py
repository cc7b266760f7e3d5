"""Where a search of all points stands, and what of it is saved."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass
class Progress:
    """How far the ensemble is: what a next attempt goes on from.

    left: (n,) places of the points that nothing has broken, in the order of the file; waiting: those of them whom the
    attack has yet to try; wave: those who are at it, each as often as it has searches, of which `ranks` tells which,
    with their state; forwards, backwards (n,): passes of each point.
    """

    left: Tensor
    waiting: Tensor
    wave: Tensor
    ranks: Tensor
    forwards: Tensor
    backwards: Tensor
    attack: int = 0
    iteration: int = 0
    state: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def at_start(cls, places: Tensor, forwards: Tensor, backwards: Tensor | None = None) -> "Progress":
        """Before the first attack on the points at `places` (k,), ascending; counts go on from the given ones (n,)."""
        backwards = forwards if backwards is None else backwards
        return cls(places, places, places[:0], places[:0], forwards.clone(), backwards.clone())

    def record(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {**vars(self), "state": {name: value.cpu() for name, value in self.state.items()}}
