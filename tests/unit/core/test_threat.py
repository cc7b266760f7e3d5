"""Laws of stages.core.images.threat and search: balls, boxes, steps and starts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stages.core.images.search import Search, Start
from stages.core.images.threat import Norm, Threat, per_image_l2, per_image_linf

norms = st.sampled_from(["linf", "l2"])
epsilons = st.one_of(st.just(0.0), st.floats(1e-4, 3.0))
seeds = st.integers(0, 2**31)
few = settings(max_examples=60, deadline=None)


def draw(seed: int, batch: int = 5) -> tuple[Tensor, Tensor, torch.Generator]:
    """Images of which a third of the pixels are saturated, and points near and far from them."""
    generator = torch.Generator().manual_seed(seed)
    images = (torch.rand(batch, 3, 4, 4, generator=generator) * 1.6 - 0.3).clamp(0, 1)
    return images, images + torch.randn(images.shape, generator=generator), generator


def assert_in_ball_and_box(images: Tensor, x_adv: Tensor, norm: Norm, epsilon: float) -> None:
    difference = (x_adv.double() - images.double()).flatten(1)
    size = difference.abs().amax(1) if norm == "linf" else difference.square().sum(1).sqrt()
    assert float(size.max()) <= epsilon + 1e-6
    assert float(x_adv.min()) >= 0
    assert float(x_adv.max()) <= 1


@few
@given(norms, epsilons, seeds)
def test_projection_lies_in_ball_and_box(norm: Norm, epsilon: float, seed: int) -> None:
    images, points, _ = draw(seed)
    assert_in_ball_and_box(images, Threat(norm, epsilon).project(images, points), norm, epsilon)


@few
@given(norms, epsilons, seeds)
def test_projection_is_idempotent(norm: Norm, epsilon: float, seed: int) -> None:
    images, points, _ = draw(seed)
    threat = Threat(norm, epsilon)
    once = threat.project(images, points)
    torch.testing.assert_close(threat.project(images, once), once, rtol=0, atol=1e-6)


@few
@given(norms, seeds)
def test_projection_leaves_a_point_of_ball_and_box_where_it_is(norm: Norm, seed: int) -> None:
    images, _, generator = draw(seed)
    noise = torch.rand(images.shape, generator=generator) - 0.5
    inside = (images + 0.1 * noise / per_image_l2(noise).view(-1, 1, 1, 1)).clamp(0, 1)
    torch.testing.assert_close(Threat(norm, 0.11).project(images, inside), inside, rtol=0, atol=1e-6)


@few
@given(seeds)
def test_linf_projection_is_the_nearest_point_of_ball_and_box(seed: int) -> None:
    images, points, _ = draw(seed)
    nearest = torch.minimum(torch.maximum(points, (images - 0.1).clamp_min(0)), (images + 0.1).clamp_max(1))
    torch.testing.assert_close(Threat("linf", 0.1).project(images, points), nearest, rtol=0, atol=1e-6)


@few
@given(norms, epsilons, seeds, st.sampled_from(["none", "uniform", "gaussian"]))
def test_every_start_lies_in_ball_and_box(norm: Norm, epsilon: float, seed: int, start: Start) -> None:
    images, _, generator = draw(seed)
    x_adv = Search(0.1, 1, start).begin(Threat(norm, epsilon), images, generator)
    assert_in_ball_and_box(images, x_adv, norm, epsilon)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_steepest_direction_ascends_a_linear_loss_the_most_its_norm_allows(norm: Norm) -> None:
    images, gradient, _ = draw(3)
    threat = Threat(norm, 1.0)
    direction = threat.steepest(gradient)
    dual = gradient.flatten(1).abs().sum(1) if norm == "linf" else per_image_l2(gradient)
    torch.testing.assert_close((direction * gradient).flatten(1).sum(1), dual)
    torch.testing.assert_close(threat.size(images, images + direction), torch.ones(5))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_zero_gradient_moves_nothing(norm: Norm) -> None:
    images, _, _ = draw(4)
    assert torch.equal(Search(0.25, 1).step(Threat(norm, 1.0), images, images, torch.zeros_like(images)), images)


def test_uniform_linf_start_has_a_uniforms_moments_and_fills_the_ball() -> None:
    images = torch.full((200, 3, 8, 8), 0.5)
    start = Threat("linf", 0.1).random_point(images, torch.Generator().manual_seed(0)) - images
    assert abs(float(start.mean())) < 1e-3
    assert float(start.std()) == pytest.approx(0.1 / 3**0.5, rel=0.01)
    assert float(start.abs().max()) > 0.0999


def test_uniform_l2_start_has_a_uniform_radius_and_no_preferred_direction() -> None:
    images = torch.full((4000, 3, 2, 2), 0.5)
    start = Threat("l2", 0.4).random_point(images, torch.Generator().manual_seed(0)) - images
    radius = per_image_l2(start).sort().values
    assert float((radius - torch.linspace(0, 0.4, 4000)).abs().max()) < 0.4 * 1.63 / 4000**0.5  # Kolmogorov, 1 %
    assert float(start.mean(0).abs().max()) < 5 * float(start.std()) / 4000**0.5


def test_gaussian_start_is_a_thousandth_of_a_normal() -> None:
    images = torch.full((200, 3, 8, 8), 0.5)
    start = Search(0.1, 1, "gaussian").begin(Threat("linf", 0.1), images, torch.Generator().manual_seed(0)) - images
    assert float(start.std()) == pytest.approx(0.001, rel=0.02)


def test_no_start_gives_the_images_and_draws_nothing() -> None:
    images, _, generator = draw(5)
    before = generator.get_state()
    assert torch.equal(Search(0.1, 1, "none").begin(Threat("linf", 0.1), images, generator), images)
    assert torch.equal(generator.get_state(), before)


def test_a_start_is_decided_by_its_generator_alone() -> None:
    images, _, _ = draw(6)
    threat = Threat("linf", 0.1)
    starts = [threat.random_point(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


def test_sizes_agree_with_a_loop_over_images() -> None:
    images, points, _ = draw(7)
    for index in range(len(images)):
        difference = (points[index] - images[index]).flatten().tolist()
        assert float(per_image_linf(points - images)[index]) == pytest.approx(max(map(abs, difference)))
        assert float(per_image_l2(points - images)[index]) == pytest.approx(sum(d * d for d in difference) ** 0.5)
