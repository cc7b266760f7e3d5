"""The engine's attacks, step by step, against the official code and against loops over single points."""

import math

import pytest
import torch
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.fab_projections import projection_linf
from pyautoattack.fab_pt import FABAttack_PT
from pyautoattack.square import SquareAttack
from torch import Tensor

from stages.attack.engine import square
from stages.attack.engine.apgd import APGD, cross_entropy, targeted_dlr, targeted_margin
from stages.attack.engine.draws import Draws
from stages.attack.engine.fab import FAB, toward_hyperplane
from stages.attack.engine.points import Algorithm, Points, State
from stages.attack.engine.square import Square, side
from tests.unit.attack.test_kinds import batch, build
from tests.unit.drawing import seeded

EPSILON = 0.02


def points_of(size: int = 6, epsilon: float = EPSILON, classes: int = 10, rank: int = 0) -> Points:
    """Points that a small net gets right, under the net itself, aimed at the target of a rank."""
    model = build(classes).requires_grad_(False)
    images, labels = batch(model, size)
    with torch.no_grad():
        order = model(images).argsort(dim=1, descending=True)
    targets = order[order != labels.unsqueeze(1)].view(size, -1)
    return Points(model, images, labels, torch.arange(size) + 40, targets, torch.full((size,), rank), epsilon)


def run(attack: Algorithm, points: Points) -> State:
    """All of its iterations."""
    state = attack.begin(points)
    attack.advance(points, state, range(attack.iterations))
    return state


@pytest.mark.parametrize("rank", [None, 0, 8])
def test_apgd_is_the_official_one_from_the_same_start(rank: int | None) -> None:
    points = points_of(rank=rank or 0)
    draws = Draws(0, "apgd")
    if rank is None:
        attack, official = APGD("a", cross_entropy, draws), APGDAttack(points.network, eps=EPSILON, loss="ce")
    else:
        attack = APGD("a", targeted_dlr, draws)
        official = APGDAttack_targeted(points.network, eps=EPSILON)
        official.y_target = points.targets[:, rank]
    official.init_hyperparam(points.images)
    start = attack.begin(points)["x"]
    best, right, loss, found = official.attack_single_run(points.images, points.labels, x_init=start)
    state = run(attack, points)
    torch.testing.assert_close(state["best_loss"], loss, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(state["best"], best, rtol=0, atol=1e-6)
    assert torch.equal(state["fooled"], ~right.bool())
    assert 0 < int(state["fooled"].sum()) < len(right) or rank == 8
    torch.testing.assert_close(state["found"][state["fooled"]], found[state["fooled"]], rtol=0, atol=1e-6)


def test_apgd_starts_on_the_balls_surface() -> None:
    points = points_of()
    noise = 2 * Draws(0, "apgd").uniform(points.indices, 0, points.images[0].numel()) - 1
    noise = (noise / noise.abs().amax(dim=1, keepdim=True)).view_as(points.images)
    wanted = (points.images + EPSILON * noise).clamp(0, 1)
    torch.testing.assert_close(APGD("a", cross_entropy, Draws(0, "apgd")).begin(points)["x"], wanted)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 1.5])
def test_a_step_to_the_hyperplane_is_the_official_projection(share: float) -> None:
    start = (torch.rand(40, 192, generator=seeded(1)) * 1.4 - 0.2).clamp(0, 1)
    normal = torch.randn(40, 192, generator=seeded(2)) ** 3
    normal[:, :5] = 0
    gap = share * 0.5 * normal.abs().sum(dim=1) * torch.randn(40, generator=seeded(3)).sign()
    wanted = projection_linf(start.clone(), normal.clone(), (normal * start).sum(dim=1) - gap)
    torch.testing.assert_close(toward_hyperplane(start, normal, gap), wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize("rank", [0, 5])
def test_fab_comes_as_near_as_the_official_one(rank: int) -> None:
    points = points_of(epsilon=math.inf, rank=rank)
    official = FABAttack_PT(points.network, n_iter=30, eps=EPSILON, norm="Linf", targeted=True)
    official.target_class = rank + 2
    x_adv = official.attack_single_run(points.images, points.labels, is_targeted=True)
    attack = FAB("f", runs=9, iterations=30)
    state, nearest = attack.begin(points), torch.full((len(points.labels),), math.inf)
    for iteration in range(attack.iterations):
        state["fooled"] = torch.zeros_like(state["fooled"])
        attack.advance(points, state, range(iteration, iteration + 1))
        size = (state["found"] - points.images).flatten(1).abs().amax(dim=1)
        nearest = torch.where(state["fooled"], torch.minimum(size, nearest), nearest)
    wanted = (x_adv - points.images).flatten(1).abs().amax(dim=1)
    torch.testing.assert_close(nearest, torch.where(wanted > 0, wanted, math.inf), rtol=1e-3, atol=1e-5)
    assert nearest.isfinite().any()


def test_squares_shrink_as_the_official_ones_do() -> None:
    official = SquareAttack(lambda x: x, p_init=0.8, n_queries=5000, resc_schedule=False)
    for height, width in ((32, 32), (8, 8), (64, 48)):
        for query in range(0, 5000, 7):
            wanted = max(round(math.sqrt(official.p_selection(query) * height * width)), 1)
            assert side(query, height, width) == min(wanted, height, width)


def test_square_keeps_a_window_where_the_margin_gains() -> None:
    points = points_of(epsilon=0.01)
    attack = Square(Draws(0, "square"), iterations=60)
    state = run(attack, points)
    for place in range(len(points.labels)):
        image, label, index = points.images[place], points.labels[place], points.indices[place : place + 1]

        def lead(x: Tensor, label: Tensor = label) -> float:
            with torch.no_grad():
                logits = points.network(x.unsqueeze(0))[0]
            true = logits[label].clone()
            logits[label] = -math.inf
            return float(logits.max() - true)

        signs = (2 * (attack.draws.uniform(index, 0, 24) >= 0.5) - 1).view(3, 1, 8)
        best = (image + 0.01 * signs).clamp(0, 1)
        reached = lead(best)
        fooled = reached >= 0
        for query in range(60):
            row, column, *channels = attack.draws.uniform(index, query + 1, 5)[0].tolist()
            size = side(query, 8, 8)
            top, left = int(row * (8 - size)), int(column * (8 - size))
            candidate = best.clone()
            for channel, number in enumerate(channels):
                square = image[channel, top : top + size, left : left + size]
                step = 0.01 if number >= 0.5 else -0.01
                candidate[channel, top : top + size, left : left + size] = (square + step).clamp(0, 1)
            gained = lead(candidate)
            if gained > reached or gained >= 0:
                best, reached, fooled = candidate, gained, fooled or gained >= 0
        torch.testing.assert_close(state["found"][place], best, rtol=0, atol=1e-6)
        assert bool(state["fooled"][place]) == fooled


def test_square_asks_ahead_what_it_would_have_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    points, passes = points_of(epsilon=0.02), []
    points.network.register_forward_hook(lambda module, given, logits: passes.append(len(logits)))
    found = {}
    for full in (0, 3 * points.images.numel(), 2**20):
        passes.clear()
        monkeypatch.setattr(square, "FULL", {"cpu": full})
        attack = Square(Draws(0, "square"), iterations=120)
        state = attack.begin(points)
        for start in range(0, 120, 30):
            attack.advance(points, state, range(start, start + 30))
        found[full] = (state, len(passes))
    one_by_one, calls = found.pop(0)
    assert calls == 121
    for state, fewer in found.values():
        assert fewer < 0.7 * calls
        for name, value in one_by_one.items():
            torch.testing.assert_close(state[name], value, rtol=0, atol=1e-6)


def test_square_climbs_on_from_what_the_judge_denied() -> None:
    points = points_of(epsilon=0.05)
    attack = Square(Draws(0, "square"), iterations=60)
    state = attack.begin(points)
    leads, asked = [state["lead"]], 0
    for iteration in range(60):
        attack.advance(points, state, range(iteration, iteration + 1))
        leads.append(state["lead"])
        asked += int(state["fooled"].sum())
        assert torch.equal(state["fooled"], (leads[-1] > leads[-2]) & (leads[-1] >= 0))
        state["fooled"] = torch.zeros_like(state["fooled"])
    assert asked > 0
    assert bool((torch.stack(leads).diff(dim=0) >= 0).all())


def test_searches_of_a_point_start_apart_and_each_the_same_whoever_is_beside_it() -> None:
    points, attack = points_of(size=2), APGD("a", targeted_dlr, Draws(0, "a"), runs=9)
    ranks = torch.arange(9)
    starts = attack.begin(points.at(torch.zeros_like(ranks), ranks))["x"]
    assert len(starts.flatten(1).unique(dim=0)) == 9
    alone = attack.begin(points.at(torch.tensor([0]), torch.tensor([4])))["x"]
    assert torch.equal(alone[0], starts[4])


def test_below_four_classes_the_margin_to_the_target_is_ascended() -> None:
    points = points_of(classes=3, rank=1)
    logits = torch.tensor([[1.0, 4.0, 2.0]]).repeat(6, 1)
    rows = torch.arange(6)
    wanted = logits[rows, points.targets[:, 1]] - logits[rows, points.labels]
    assert torch.equal(targeted_margin(points, logits), wanted)
    assert bool(run(APGD("a", targeted_margin, Draws(0, "a")), points_of(classes=3, epsilon=0.3))["fooled"].any())
