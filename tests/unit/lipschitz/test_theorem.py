"""Laws of Theorem 1's radius and of what is broken inside it."""

import pytest
import torch

from stages.core.config.lipschitz import LipschitzSettings
from stages.core.images.threat import Threat, per_image_l2
from stages.lipschitz.ascent import probabilities
from stages.lipschitz.measure import measure
from stages.lipschitz.theorem import OwnBalls, distance_inside, radius
from tests.unit.drawing import random_states, seeded
from tests.unit.lipschitz.networks import SIDE, convolutional, inner_images, two_classes

GRAY = torch.full((1, 3, SIDE, SIDE), 0.5)


def test_the_radius_is_the_theorems() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0], [0.9, 0.1, 0.0]], dtype=torch.float64)
    ratio = torch.tensor([2.0, 2.0, 0.0], dtype=torch.float64)
    assert radius(p, ratio, 0.5).tolist() == pytest.approx([0.125, 0.0, 0.5])
    assert radius(p, ratio / 10, 0.5).tolist() == pytest.approx([0.5, 0.0, 0.5])


@pytest.mark.parametrize("slope", [4.0, 40.0])
@pytest.mark.parametrize("lead", [0.5, 2.0, 8.0])
def test_of_two_classes_the_radius_ends_before_the_boundary_and_nothing_is_broken(slope: float, lead: float) -> None:
    found = measure(two_classes(slope, lead), GRAY, LipschitzSettings(), seeded())
    assert float(found["radius"]) < lead / slope
    assert not bool(found["broken"])


@pytest.mark.parametrize("share", [0.5, 0.99, 1.01, 3.0])
def test_an_adversarial_example_is_found_inside_a_radius_just_where_there_is_one(share: float) -> None:
    boundary = 2.0 / 8.0
    radii = torch.tensor([share * boundary], dtype=torch.float64)
    distance = distance_inside(two_classes(8.0, 2.0), GRAY, torch.tensor([0]), radii, 2, 30, seeded())
    if share < 1:
        assert distance.tolist() == [torch.inf]
    else:
        assert boundary <= float(distance) <= float(radii)


def test_each_image_is_searched_in_its_own_ball_whoever_is_beside_it() -> None:
    images = GRAY.expand(4, -1, -1, -1).contiguous()
    radii = torch.tensor([0.1, 0.3, 0.0, 0.24], dtype=torch.float64)
    distance = distance_inside(two_classes(8.0, 2.0), images, torch.zeros(4).long(), radii, 2, 30, seeded())
    assert distance.isfinite().tolist() == [False, True, False, False]
    assert 0.25 <= float(distance[1]) <= 0.3


def test_balls_of_one_radius_are_the_threat_model_of_that_radius() -> None:
    images = inner_images(4)
    moved = images + torch.randn(images.shape, generator=seeded())
    balls, threat = OwnBalls.of(torch.full((4,), 0.2)), Threat("l2", 0.2)
    assert torch.allclose(balls.project(images, moved), threat.project(images, moved))
    assert torch.allclose(balls.steepest(moved), threat.steepest(moved))
    own = OwnBalls.of(torch.tensor([0.1, 0.2, 0.4, 0.0]))
    assert per_image_l2(own.project(images, moved) - images).tolist() == pytest.approx([0.1, 0.2, 0.4, 0.0], abs=1e-6)
    assert per_image_l2(own.steepest(moved)).tolist() == pytest.approx([0.25, 0.5, 1.0, 0.0])


def test_columns_agree_with_the_model_and_with_one_another_and_the_model_is_as_it_was() -> None:
    model, images = convolutional(1).train(), inner_images(8)
    settings, before = LipschitzSettings(starts=2, steps=8), random_states()
    found = measure(model, images, settings, seeded())
    assert model.training
    assert random_states() == before
    p = probabilities(model.eval()(images)).detach()
    most, second = p.topk(2).values.unbind(1)
    assert torch.equal(found["prediction"], p.argmax(1))
    assert torch.allclose(found["p_a"], most)
    assert torch.allclose(found["p_b"], second)
    wanted = ((most - second) / (2 * found["lipschitz"])).clamp_max(0.5)
    assert torch.allclose(found["radius"], wanted)
    assert torch.equal(found["broken"], found["distance"] <= found["radius"])
    assert (found["found_at"] <= 0.5 * (1 + 1e-5)).all()


def test_an_estimate_that_is_too_low_is_broken_inside_its_radius_and_a_good_one_says_all_that_examples_prove() -> None:
    model, images = convolutional(2).requires_grad_(False), inner_images(12, 3)
    found = measure(model, images, LipschitzSettings(), seeded())
    assert not found["broken"].any()
    p = probabilities(model(images))
    low = radius(p, found["lipschitz"] / 20, 0.5)
    distance = distance_inside(model, images, found["prediction"], low, 2, 20, seeded())
    broken = distance.isfinite()
    assert broken.any()
    proven = (found["p_a"] - found["p_b"]) / 2**0.5 / distance
    assert (found["lipschitz"] >= proven)[broken].all()
