"""The ensemble: each attack on the points that those before it left, until a point is broken or all have tried.

A point leaves when the judge says so and for no other reason. All searches of a wave, of which an attack may have
several a point, stand at the same iteration; after a few iterations what they found is judged at once, the broken
points leave with all their searches, and the rest are packed into full batches again. So a finding may wait a few
iterations to be judged, and nothing is read on the host between.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from stages.attack.engine.points import Algorithm, Points, State
from stages.attack.engine.progress import Progress
from stages.core.job.interrupt import uninterrupted

MOST_BETWEEN_LOOKS = 10  # iterations
LOOKS_A_DOUBLING = 4
WAVE = 1024  # searches whose states are held, and saved, at a time

Judge = Callable[[Tensor, Tensor, str, int], Tensor]


def next_look(iteration: int, iterations: int) -> int:
    """How many iterations are done at the next look at what was found: often at first, when most points fall."""
    return min(iteration + min(max(iteration // LOOKS_A_DOUBLING, 1), MOST_BETWEEN_LOOKS), iterations)


def attack_all(
    points: Points,
    attacks: Sequence[Algorithm],
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
                progress.wave, progress.ranks, progress.state = progress.wave[:0], progress.ranks[:0], {}
        with uninterrupted():
            progress.attack, progress.waiting = progress.attack + 1, progress.left


def _begin_wave(points: Points, progress: Progress, attack: Algorithm, judge: Judge, batch_size: int) -> None:
    """Let the next of the waiting points begin."""
    size = max(max(WAVE, batch_size) // attack.runs, 1)
    wave = progress.waiting[:size].repeat_interleave(attack.runs)
    ranks = torch.arange(attack.runs).repeat(len(wave) // attack.runs)
    state = _joined([attack.begin(batch) for batch in _batches(points, wave, ranks, batch_size)])
    with uninterrupted():
        progress.wave, progress.ranks, progress.waiting = wave, ranks, progress.waiting[size:]
        _take_in(progress, state, attack, judge, 0, attack.start_passes)


def _iterate(points: Points, progress: Progress, attack: Algorithm, judge: Judge, batch_size: int) -> None:
    """Take the wave to the next look."""
    stop = next_look(progress.iteration, attack.iterations)
    batches = _batches(points, progress.wave, progress.ranks, batch_size)
    parts = {name: value.split(batch_size) for name, value in progress.state.items()}
    states = [{name: parts[name][number] for name in parts} for number in range(len(batches))]
    for batch, state in zip(batches, states, strict=True):
        attack.advance(batch, state, range(progress.iteration, stop))
    forwards, backwards = attack.passes
    done = stop - progress.iteration
    with uninterrupted():
        _take_in(progress, _joined(states), attack, judge, stop, (forwards * done, backwards * done))


def _batches(points: Points, wave: Tensor, ranks: Tensor, batch_size: int) -> list[Points]:
    device = points.images.device
    parts = zip(wave.to(device).split(batch_size), ranks.to(device).split(batch_size), strict=True)
    return [points.at(*part) for part in parts]


def _joined(states: Sequence[State]) -> State:
    """The state of all batches."""
    return states[0] if len(states) == 1 else {name: torch.cat([part[name] for part in states]) for name in states[0]}


def _take_in(
    progress: Progress, state: State, attack: Algorithm, judge: Judge, iteration: int, passes: tuple[int, int]
) -> None:
    """Let the wave stand at `iteration`, judge what its searches found since the last look, and let the broken leave.

    At its end the best image of every search is judged. Of several searches that found something, the one of the lowest
    rank breaks the point. This is the one moment at which the host waits for the device.
    """
    progress.state, progress.iteration = state, iteration
    for counts, made in zip((progress.forwards, progress.backwards), passes, strict=True):
        counts.index_add_(0, progress.wave, torch.full_like(progress.wave, made))
    candidates = torch.ones_like(state["fooled"]) if iteration == attack.iterations else state["fooled"]
    rows = candidates.nonzero().flatten().cpu()
    if not len(rows):
        return
    broken = torch.zeros(len(progress.forwards), dtype=torch.bool)
    for rank in progress.ranks[rows].unique().tolist():
        at = rows[(progress.ranks[rows] == rank) & ~broken[progress.wave[rows]]]
        if len(at):
            name = attack.name if attack.runs == 1 else f"{attack.name}/{rank + 1}"
            places = progress.wave[at]
            broken[places] = judge(places, state["found"][at.to(candidates.device)], name, iteration)
    stay = ~broken[progress.wave]
    progress.left = progress.left[~broken[progress.left]]
    progress.wave, progress.ranks = progress.wave[stay], progress.ranks[stay]
    stay = stay.nonzero().flatten().to(candidates.device)
    progress.state = {name: value[stay] for name, value in state.items()}
    progress.state["fooled"] = torch.zeros_like(progress.state["fooled"])
