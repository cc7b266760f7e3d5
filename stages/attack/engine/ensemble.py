"""The ensemble: each attack on the points that those before it left, until a point is broken or all have tried.

A point leaves when the judge says so and for no other reason. All points of a wave stand at the same iteration; after a
few iterations those whose search found something are judged at once, the broken ones leave, and the rest are packed
into full batches again. So a finding may wait a few iterations to be judged, and nothing is read on the host between.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stages.attack.engine.points import Attack, Points, State
from stages.core.job.interrupt import uninterrupted

MOST_BETWEEN_LOOKS = 10  # iterations
LOOKS_A_DOUBLING = 4
WAVE = 1024  # points whose states are held, and saved, at a time

Judge = Callable[[Tensor, Tensor, str, int], Tensor]


def next_look(iteration: int, iterations: int) -> int:
    """How many iterations are done at the next look at what was found: often at first, when most points fall."""
    return min(iteration + min(max(iteration // LOOKS_A_DOUBLING, 1), MOST_BETWEEN_LOOKS), iterations)


@dataclass
class Progress:
    """How far the ensemble is: what a next attempt goes on from.

    left: (n,) places of the points that nothing has broken, in the order of the file; waiting: those of them whom the
    attack has yet to try; wave: those who are at it, with their state; forwards, backwards (n,): passes of each point.
    """

    left: Tensor
    waiting: Tensor
    wave: Tensor
    forwards: Tensor
    backwards: Tensor
    attack: int = 0
    iteration: int = 0
    state: State = field(default_factory=dict)

    @classmethod
    def at_start(cls, places: Tensor, forwards: Tensor, backwards: Tensor | None = None) -> "Progress":
        """Before the first attack on the points at `places` (k,), ascending; counts go on from the given ones (n,)."""
        backwards = forwards if backwards is None else backwards
        return cls(places, places, places[:0], forwards.clone(), backwards.clone())

    def record(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {**vars(self), "state": {name: value.cpu() for name, value in self.state.items()}}


def attack_all(
    points: Points,
    attacks: Sequence[Attack],
    progress: Progress,
    judge: Judge,
    batch_size: int,
    after_look: Callable[[], None] = lambda: None,
) -> None:
    """Run the attacks in order on the points that are left, from where `progress` stands; it is kept up to date.

    judge: (places, images (k, C, H, W), the attack's name, iteration) -> (k,) bool on the CPU, whether each is broken;
    it keeps what it needs to know. after_look: called whenever `progress` is whole.
    """
    progress.state = {name: value.to(points.images.device) for name, value in progress.state.items()}
    while progress.attack < len(attacks):
        attack = attacks[progress.attack]
        while len(progress.wave) or len(progress.waiting):
            if not len(progress.wave):
                _begin_wave(points, progress, attack, judge, batch_size)
            while len(progress.wave) and progress.iteration < attack.iterations:
                _iterate(points, progress, attack, judge, batch_size)
                after_look()
            with uninterrupted():
                progress.wave, progress.state = progress.wave[:0], {}
        with uninterrupted():
            progress.attack, progress.waiting = progress.attack + 1, progress.left


def _begin_wave(points: Points, progress: Progress, attack: Attack, judge: Judge, batch_size: int) -> None:
    """Let the next of the waiting points begin."""
    size = max(WAVE, batch_size)
    wave = progress.waiting[:size]
    parts = wave.to(points.images.device).split(batch_size)
    state = _joined([attack.begin(points.at(part)) for part in parts])
    with uninterrupted():
        progress.wave, progress.waiting = wave, progress.waiting[size:]
        _take_in(progress, state, attack, judge, 0, attack.start_passes)


def _iterate(points: Points, progress: Progress, attack: Attack, judge: Judge, batch_size: int) -> None:
    """Take the wave to the next look."""
    stop = next_look(progress.iteration, attack.iterations)
    parts = progress.wave.to(points.images.device).split(batch_size)
    states: list[State] = [{} for _ in parts]
    for name, value in progress.state.items():
        for state, rows in zip(states, value.split(batch_size), strict=True):
            state[name] = rows
    for state, part in zip(states, parts, strict=True):
        batch = points.at(part)
        for iteration in range(progress.iteration, stop):
            attack.advance(batch, state, iteration)
    forwards, backwards = attack.passes
    done = stop - progress.iteration
    with uninterrupted():
        _take_in(progress, _joined(states), attack, judge, stop, (forwards * done, backwards * done))


def _joined(states: Sequence[State]) -> State:
    """The state of all batches."""
    return states[0] if len(states) == 1 else {name: torch.cat([part[name] for part in states]) for name in states[0]}


def _take_in(
    progress: Progress, state: State, attack: Attack, judge: Judge, iteration: int, passes: tuple[int, int]
) -> None:
    """Let the wave stand at `iteration`, judge what its search found since the last look, and let the broken leave.

    At its end the best image of every point is judged. This is the one moment at which the host waits for the device.
    """
    progress.state, progress.iteration = state, iteration
    progress.forwards[progress.wave] += passes[0]
    progress.backwards[progress.wave] += passes[1]
    candidates = torch.ones_like(state["fooled"]) if iteration == attack.iterations else state["fooled"]
    places = candidates.nonzero().flatten()
    if not len(places):
        return
    broken = torch.zeros(len(progress.wave), dtype=torch.bool)
    broken[places.cpu()] = judge(progress.wave[places.cpu()], state["found"][places], attack.name, iteration)
    stay = (~broken).nonzero().flatten()
    progress.left = progress.left[~torch.isin(progress.left, progress.wave[broken])]
    progress.wave = progress.wave[stay]
    progress.state = {name: value[stay.to(value.device)] for name, value in state.items()}
    progress.state["fooled"] = torch.zeros_like(progress.state["fooled"])
