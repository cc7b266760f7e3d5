"""AutoAttack, both kinds, on images of any shape: Square's windows stay inside, and usual shapes are left alone."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchattacks
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.fab_pt import FABAttack_PT
from pyautoattack.square import SquareAttack
from torch import Tensor, nn
from torchattacks.attacks.square import Square

from stages.attack.evaluate import attack_function
from stages.attack.windows import canvas_shape, hold_windows_inside, search_on_canvas
from stages.core.images.threat import Norm, Threat
from tests.unit.drawing import weights_from

KINDS = ("autoattack", "autoattack_torchattacks")
QUERIES = 60
SHAPES = [(8, 8), (4, 4), (3, 3), (1, 1), (16, 8), (8, 16), (32, 8), (1, 9), (12, 12), (32, 12), (64, 8)]
EPSILON = {"linf": 1e-4, "l2": 1e-3}


def net(height: int, width: int) -> nn.Module:
    """A random linear model of ten classes."""
    with weights_from(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * height * width, 10)).eval()


@pytest.fixture
def few_queries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of both ensembles Square alone, QUERIES queries; what they draw places below, which must not be negative."""
    room: list[int] = []
    for kind in (SquareAttack, Square):
        search, draw = kind.perturb, kind.random_int

        def perturb(self: Any, x: Tensor, y: Tensor | None = None, search: Any = search) -> Any:
            self.n_queries = QUERIES
            return search(self, x, y)

        def random_int(self: Any, low: int = 0, high: int = 1, shape: Any = (1,), draw: Any = draw) -> Any:
            room.append(high)
            return draw(self, low, high, list(shape))

        monkeypatch.setattr(kind, "perturb", perturb)
        monkeypatch.setattr(kind, "random_int", random_int)
    for other in (APGDAttack, APGDAttack_targeted, FABAttack_PT):
        monkeypatch.setattr(other, "perturb", lambda self, x, y: x)
    for other in (torchattacks.APGD, torchattacks.APGDT, torchattacks.FAB):
        monkeypatch.setattr(other, "forward", lambda self, images, labels: images)
    return room


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_kinds_attack_images_of_any_shape_with_windows_inside_them(
    kind: str, norm: Norm, shape: tuple[int, int], few_queries: list[int]
) -> None:
    model, images = net(*shape), torch.rand(3, 3, *shape, generator=torch.Generator().manual_seed(1))
    labels, threat = model(images).argmax(1), Threat(norm, EPSILON[norm])
    x_adv = attack_function(kind)(model, images, labels, threat, torch.Generator().manual_seed(0))
    assert len(few_queries) >= QUERIES  # so that Square ran
    assert min(few_queries) >= 0
    assert x_adv.shape == images.shape
    assert bool(((x_adv >= 0) & (x_adv <= 1)).all())
    size = (x_adv - images).flatten(1).norm(dim=1, p=math.inf if norm == "linf" else 2)
    assert float(size.max()) <= EPSILON[norm] * 1.01


def runs_over(side: int, height: int) -> bool:
    """Whether Square's first grid adds a window to a slice that the edge has cut, as NumPy and torch slice."""
    window, places = height // 5, range(side)
    start = (height - 5 * window) // 2
    cut = [len(places[start + turn * window : start + (turn + 1) * window]) for turn in range(side // window)]
    return any(length != window and window != 1 for length in cut)


def test_a_canvas_fits_the_grid_and_is_only_a_few_pixels_larger() -> None:
    for height in range(1, 101):
        for width in range(1, 101):
            tall, wide = canvas_shape(height, width)
            assert not runs_over(tall, tall)
            assert not runs_over(wide, tall)
            assert tall >= height
            assert wide >= width
            if height >= 5 and width >= 3:
                assert tall - height <= 4
                assert wide - width <= 2
            if height >= 5 and width >= 3 and not (runs_over(height, height) or runs_over(width, height)):
                assert (tall, wide) == (height, width)


@pytest.mark.parametrize("side", [8, 28, 32, 48, 64, 96, 224])
def test_usual_images_are_searched_as_the_libraries_do(side: int) -> None:
    assert canvas_shape(side, side) == (side, side)
    for square in (SquareAttack(None, resc_schedule=False), torchattacks.Square(nn.Identity())):
        theirs = [square.p_selection(step) for step in range(5000)]
        square_sides = [max(round(math.sqrt(share * side * side)), 3) // 2 * 2 + 1 for share in theirs]
        hold_windows_inside(square, side, side, odd=True)
        ours = [square.p_selection(step) for step in range(5000)]
        assert [max(round(math.sqrt(share * side * side)), 3) // 2 * 2 + 1 for share in ours] == square_sides


@pytest.mark.parametrize("shape", [(16, 8), (8, 16), (32, 8), (5, 9), (7, 40)])
@pytest.mark.parametrize("odd", [True, False])
def test_a_window_is_no_wider_than_the_shorter_edge_and_as_wide_as_it_may(shape: tuple[int, int], odd: bool) -> None:
    square = SimpleNamespace(p_selection=lambda step: 0.8 / 2**step)
    hold_windows_inside(square, *shape, odd=odd)
    for step in range(6):
        side = round(math.sqrt(square.p_selection(step) * math.prod(shape)))
        side += odd and side % 2 == 0
        wanted = round(math.sqrt(0.8 / 2**step * math.prod(shape)))
        wanted += odd and wanted % 2 == 0
        assert side <= min(shape)
        assert side == wanted or side >= min(shape) - odd


def test_square_fools_a_model_through_its_canvas_and_the_margin_is_never_seen() -> None:
    model, images = net(12, 14), torch.rand(4, 3, 12, 14, generator=torch.Generator().manual_seed(1))
    seen: list[tuple[int, ...]] = []

    def predict(batch: Tensor) -> Tensor:
        seen.append(tuple(batch.shape[1:]))
        with torch.no_grad():
            return model(batch)

    labels = predict(images).argmax(1)
    square = SquareAttack(predict, norm="L2", n_queries=300, eps=4.0, seed=0, device=images.device)
    assert search_on_canvas(square, "predict", images) != (12, 14)
    with torch.random.fork_rng(devices=[]):
        x_adv = square.perturb(images, labels)
    assert bool((predict(x_adv).argmax(1) != labels).all())
    assert set(seen) == {(3, 12, 14)}
    assert float((x_adv - images).flatten(1).norm(dim=1).max()) <= 4.0 * 1.0001
