"""Laws of the estimated L_x: closed forms, brute force, the Jacobian below it and the Lipschitz constant above it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.core.images.threat import per_image_l2
from stages.lipschitz.ascent import lipschitz, probabilities, random_starts, within
from tests.unit.drawing import seeded
from tests.unit.lipschitz.networks import (
    PIXELS,
    SIDE,
    Linear,
    Wavy,
    by_brute_force,
    convolutional,
    inner_images,
    of_two_classes,
    several_classes,
    spectral_norms,
    two_classes,
)


def estimated(model: nn.Module, images: Tensor, delta: float, starts: int = 4, steps: int = 30) -> Tensor:
    with torch.no_grad():
        p = probabilities(model(images))
    return lipschitz(model, images, p, delta, starts, steps, seeded(5)).ratio


@pytest.mark.parametrize("slope", [0.5, 4.0, 40.0])
@pytest.mark.parametrize("lead", [0.0, 2.0, -6.0, 18.0])
def test_of_a_linear_model_of_two_classes_it_is_the_closed_form(slope: float, lead: float) -> None:
    gray = torch.full((1, 3, SIDE, SIDE), 0.5)
    found = estimated(two_classes(slope, lead), gray, 0.5)
    assert float(found) == pytest.approx(of_two_classes(slope, lead, 0.5), rel=0.01)


@pytest.mark.parametrize("scale", [0.01, 0.3, 3.0])
def test_in_a_tiny_ball_of_a_linear_model_it_is_the_jacobians_largest_singular_value(scale: float) -> None:
    """In float64, for which a thousandth of so small a ball is no distance to be lost in rounding."""
    model, images = several_classes(scale).double(), inner_images(6).double()
    p = probabilities(model(images))
    jacobian = (torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)) @ model.get_buffer("weight")
    norms = torch.linalg.matrix_norm(jacobian, 2).tolist()
    assert estimated(model, images, 1e-4 / scale).tolist() == pytest.approx(norms, rel=0.01)
    assert spectral_norms(model, images) == pytest.approx(norms)


@pytest.mark.parametrize("scale", [0.01, 0.3, 3.0])
def test_it_does_not_exceed_the_lipschitz_constant_of_a_linear_model(scale: float) -> None:
    """The softmax halves distances or more, and W stretches them by its largest singular value."""
    model = several_classes(scale)
    above = 0.5 * float(torch.linalg.matrix_norm(model.get_buffer("weight"), 2))
    assert float(estimated(model, inner_images(6), 0.5).max()) <= above * (1 + 1e-5)


@pytest.mark.parametrize("offset", [0.0, 10.0, 100.0])
@pytest.mark.parametrize("delta", [0.005, 0.5])
def test_rounding_of_large_logits_that_hardly_change_makes_no_constant(offset: float, delta: float) -> None:
    """The offset is nothing to the softmax, and in float32 it rounds away what a small weight changes."""
    small = several_classes(0.01).get_buffer("weight")
    model = Linear(small, torch.full((len(small),), offset))
    above = 0.5 * float(torch.linalg.matrix_norm(small, 2))
    found = estimated(model, inner_images(6), delta)
    assert float(found.max()) <= above * 1.01
    if delta == 0.5:
        exact = torch.tensor(spectral_norms(model.double(), inner_images(6).double()))
        assert (found >= 0.9 * exact).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.02, 0.9), (0.0, 1.0), (0.0, 0.4)])
def test_in_two_dimensions_it_is_what_brute_force_finds_also_at_the_edges_of_the_box(
    seed: int, place: tuple[float, float]
) -> None:
    model, image = Wavy(seed), torch.tensor(place).view(1, 1, 1, 2)
    found, grid = float(estimated(model, image, 0.3, starts=8)), by_brute_force(model, image, 0.3)
    assert grid * 0.99 <= found <= grid * 1.01


@pytest.mark.parametrize("seed", range(3))
def test_of_a_network_it_is_not_below_the_spectral_norm_of_its_jacobian(seed: int) -> None:
    model, images = convolutional(seed), inner_images(6, seed)
    assert (estimated(model, images, 0.5) >= 0.98 * torch.tensor(spectral_norms(model, images))).all()


def test_where_the_model_is_sure_to_the_last_bit_the_boundary_is_found_all_the_same() -> None:
    """In float32 p_a is 1 there, and stays it in every direction that is drawn."""
    gray = torch.full((1, 3, SIDE, SIDE), 0.5)
    model = two_classes(200.0, 60.0)
    assert float(model(gray).softmax(dim=1)[0, 0]) == 1.0
    assert float(estimated(model, gray, 0.5)) == pytest.approx(of_two_classes(200.0, 60.0, 0.5), rel=0.02)


def test_a_model_that_says_the_same_of_everything_has_0() -> None:
    flat = Linear(torch.zeros(3, PIXELS), torch.tensor([1.0, 0.0, 0.0]))
    assert estimated(flat, inner_images(3), 0.5).tolist() == [0.0] * 3


def test_one_start_of_one_step_finds_less_than_many_of_more() -> None:
    model, images = convolutional(0), inner_images(4)
    with torch.no_grad():
        p = probabilities(model(images))
    few = lipschitz(model, images, p, 0.5, 1, 1, seeded(1)).ratio
    assert (estimated(model, images, 0.5, starts=8, steps=60) > few).all()


def test_starts_lie_in_ball_and_box_at_distances_of_equal_ratios() -> None:
    images = inner_images(5)
    distances = [per_image_l2(x - images) for x in random_starts(images, 0.5, 4, seeded())]
    for found, wanted in zip(distances, [0.5, 0.05, 0.005, 0.0005], strict=True):
        assert found.tolist() == pytest.approx([wanted] * 5, rel=1e-3)
    corner = torch.zeros(5, 3, SIDE, SIDE)
    for x in random_starts(corner, 0.5, 4, seeded()):
        assert float(x.min()) >= 0
        assert (per_image_l2(x) > 0).all()


def test_a_point_is_brought_between_the_shortest_distance_and_the_rim_and_into_the_box() -> None:
    images = inner_images(2)
    far = within(images, images + torch.randn(images.shape, generator=seeded()), 0.1)
    assert per_image_l2(far - images).tolist() == pytest.approx([0.1] * 2, rel=1e-5)
    near = within(images, images + 1e-5 * torch.randn(images.shape, generator=seeded()), 1.0)
    assert per_image_l2(near - images).tolist() == pytest.approx([1e-3] * 2, rel=1e-2)
    assert torch.equal(within(images, images, 0.5), images)
    assert float(within(images, images + 9, 1e3).max()) <= 1


def test_the_closed_form_agrees_with_the_slope_at_a_point() -> None:
    """A check of the check: in a ball that is nearly a point it is sqrt(2) slope p (1 - p)."""
    for u in (0.0, 1.5, -3.0):
        p = 1 / (1 + np.exp(-u))
        assert of_two_classes(2.0, u, 1e-4) == pytest.approx(np.sqrt(2) * 2.0 * p * (1 - p), rel=1e-3)
