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
    def at_start(cls, correct: Tensor) -> "Progress":
        """Before the first attack. correct: (n,) which points are classified correctly; the others are not attacked."""
        left = correct.nonzero().flatten().cpu()
        none = torch.zeros(len(correct), dtype=torch.int64)
        return cls(left, left, left[:0], none, none.clone())

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
                _next_wave(points, progress, attack, batch_size)
                _judge_found(progress, attack, judge)
            while len(progress.wave) and progress.iteration < attack.iterations:
                stop = next_look(progress.iteration, attack.iterations)
                _iterate(points, progress, attack, range(progress.iteration, stop), batch_size)
                _judge_found(progress, attack, judge)
                after_look()
            _judge(progress, torch.ones(len(progress.wave), dtype=torch.bool), attack, judge)
            progress.wave, progress.state = progress.wave[:0], {}
        progress.attack, progress.waiting = progress.attack + 1, progress.left


def _next_wave(points: Points, progress: Progress, attack: Attack, batch_size: int) -> None:
    """Let the next of the waiting points begin."""
    size = max(WAVE, batch_size)
    progress.wave, progress.waiting = progress.waiting[:size], progress.waiting[size:]
    progress.state = _joined([attack.begin(points.at(part)) for part in _parts(progress.wave, points, batch_size)])
    progress.iteration = 0
    _count(progress, attack.start_passes, 1)


def _iterate(points: Points, progress: Progress, attack: Attack, iterations: range, batch_size: int) -> None:
    """Take the wave through some iterations, batch by batch."""
    states, start = [], 0
    for part in _parts(progress.wave, points, batch_size):
        state = {name: value[start : start + len(part)] for name, value in progress.state.items()}
        batch = points.at(part)
        for iteration in iterations:
            attack.advance(batch, state, iteration)
        states.append(state)
        start += len(part)
    progress.state = _joined(states)
    progress.iteration = iterations.stop
    _count(progress, attack.passes, len(iterations))


def _judge_found(progress: Progress, attack: Attack, judge: Judge) -> None:
    """Judge what the search found since the last look: the one moment at which the host waits for the device."""
    _judge(progress, progress.state["fooled"].cpu(), attack, judge)


def _judge(progress: Progress, candidates: Tensor, attack: Attack, judge: Judge) -> None:
    """Judge what is found for some of the wave; the broken ones leave it, the others search on."""
    if not bool(candidates.any()):
        return
    found = progress.state["found"]
    broken = candidates.clone()
    at = candidates.nonzero().flatten()
    broken[at] = judge(progress.wave[at], found[at.to(found.device)], attack.name, progress.iteration)
    progress.state["fooled"] = torch.zeros_like(progress.state["fooled"])
    if bool(broken.any()):
        stay = (~broken).nonzero().flatten()
        progress.left = progress.left[~torch.isin(progress.left, progress.wave[broken])]
        progress.wave = progress.wave[stay]
        progress.state = {name: value[stay.to(value.device)] for name, value in progress.state.items()}


def _parts(wave: Tensor, points: Points, batch_size: int) -> list[Tensor]:
    """The wave's places, batch by batch, on the points' device."""
    return list(wave.to(points.images.device).split(batch_size))


def _joined(states: list[State]) -> State:
    """The state of all batches."""
    return states[0] if len(states) == 1 else {name: torch.cat([s[name] for s in states]) for name in states[0]}


def _count(progress: Progress, passes: tuple[int, int], times: int) -> None:
    progress.forwards[progress.wave] += passes[0] * times
    progress.backwards[progress.wave] += passes[1] * times
