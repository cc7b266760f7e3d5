"""What a certificate measures, against independent code: AutoAttack's own checks, and what the active test promises."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from pyautoattack.autopgd_base import APGDAttack
from pyautoattack.checks import check_randomized, check_range_output, check_zero_gradients
from torch import nn

from stages.attack.certificate import active
from stages.attack.certificate.battery import Battery, robust_to_others
from stages.attack.certificate.probes import (
    Differentiable,
    differentiable,
    outputs,
    path,
    unstable_loss,
    untargeted_dlr,
    zero_gradients,
)
from stages.attack.certificate.verdict import lower_bound, more_often, share_above, upper_bound
from stages.attack.margin import margin
from stages.core.artifacts import ImageSet
from stages.core.images.perturb import perturb
from stages.core.images.pixels import to_unit
from stages.core.images.search import Search
from tests.unit.attack.certified import After, Before
from tests.unit.drawing import seeded

CHANGES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "plain": lambda model: model,
    "noise": partial(Before, lambda images: images + 0.1 * torch.randn_like(images)),
    "softmax": lambda model: After(model, lambda logits: logits.softmax(dim=1)),
    "levels": partial(Before, lambda images: (images * 7).round() / 7),
}


def flagged(check: Callable[..., object], *words: object) -> bool:
    """Whether one of AutoAttack's checks warns."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        check(*words)
    return bool(said)


@pytest.mark.parametrize("change", CHANGES)
def test_the_flags_are_those_of_autoattack(change: str, model: nn.Module, test_set: ImageSet) -> None:
    changed = CHANGES[change](model).eval()
    images, labels = to_unit(test_set.images), test_set.labels
    told = outputs(changed, images)
    assert (told.again > 1e-4) == flagged(check_randomized, changed, images, labels)
    assert told.probabilities == flagged(check_range_output, changed, images)
    at = images.clone().requires_grad_(True)
    loss = torch.nn.functional.cross_entropy(changed(at), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, at)
    zero = zero_gradients(changed, images, labels)["cross-entropy"]
    assert zero == int((gradient.flatten(1).abs().amax(dim=1) == 0).sum())
    assert (zero > 0) == flagged(check_zero_gradients, gradient)


def test_the_untargeted_dlr_loss_is_autoattacks() -> None:
    logits = torch.randn(50, 10, generator=seeded(0))
    labels = torch.randint(10, (50,), generator=seeded(1))
    theirs = APGDAttack.dlr_loss(None, logits, labels)  # type: ignore[arg-type]
    torch.testing.assert_close(untargeted_dlr(logits, labels), theirs, rtol=1e-6, atol=1e-7)


def test_a_model_without_a_gradient_is_noticed_and_gets_one_of_zero(model: nn.Module, test_set: ImageSet) -> None:
    images, labels = to_unit(test_set.images), test_set.labels
    detached = Before(lambda pixels: pixels.detach(), model).requires_grad_(False)
    assert differentiable(model, images)
    assert not differentiable(detached, images)
    wrapped = Differentiable(detached).eval()
    torch.testing.assert_close(wrapped(images), model(images))
    assert set(zero_gradients(wrapped, images, labels).values()) == {len(images)}


def test_a_submodule_in_train_mode_is_named(model: nn.Module, test_set: ImageSet) -> None:
    model[0][1].train()  # type: ignore[index]
    told = outputs(model, to_unit(test_set.images))
    assert told.training == ("0.1",)
    assert told.beside > 1e-3


@pytest.fixture
def battery(model: nn.Module, test_set: ImageSet) -> Battery:
    return Battery(model, test_set, 4, 0.1, 0, torch.device("cpu"))


def test_the_active_test_rests_on_an_adversarial_point_in_the_ball_and_on_none_inside(battery: Battery) -> None:
    image = battery.images[0]
    inner, surface = active._around(image, battery.epsilon, 100, seeded(2))
    points = torch.cat([image.unsqueeze(0), inner, surface])
    sizes = (points - image).abs().amax(dim=(1, 2, 3))
    assert float(sizes[:-1].max()) <= 0.95 * battery.epsilon + 1e-6
    assert float(sizes[-1]) == pytest.approx(battery.epsilon, abs=1e-6)
    assert 0 <= float(points.min()) <= float(points.max()) <= 1
    features = active.Features(battery.model, battery.images)
    with torch.no_grad():
        told = features(points)
        readout = active._readout(told)
        scores = (told.double() - readout.center) @ readout.normal - readout.offset
        assert readout.fits
        assert float(scores[-1]) > 0 > float(scores[:-1].max())
        network = active.Binarized(features, [readout], 1.0)
        assert network(surface).argmax(dim=1).tolist() == [1]
        assert not any(network(point).argmax(dim=1).item() for point in inner.split(1))


def test_features_are_what_the_last_linear_layer_is_given(battery: Battery) -> None:
    model = battery.model
    features = active.Features(model, battery.images)
    torch.testing.assert_close(model[2](features(battery.images)), model(battery.images))  # type: ignore[index]
    without = nn.Sequential(nn.Conv2d(3, 10, 8), nn.Flatten()).eval()
    torch.testing.assert_close(active.Features(without, battery.images)(battery.images), without(battery.images))


def test_no_readout_is_fitted_to_features_that_do_not_move() -> None:
    assert not active._readout(torch.ones(20, 5)).fits


def test_one_image_on_the_boundary_does_not_make_a_loss_unstable(battery: Battery) -> None:
    chosen = torch.arange(4)
    steady = unstable_loss(battery.model, battery, chosen)
    with torch.no_grad():
        logits = battery.model(battery.images)
        lead = margin(logits, battery.labels)
    place = int(lead.abs().argmin())
    shift = torch.zeros(4, 10)
    shift[place, battery.labels[place]] = float(lead[place]) - 1e-6  # that image's margin is now next to nothing

    class Shifted(nn.Module):
        """The model, one image's margin moved, in whatever batch of these four."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return battery.model(images) + shift

    moved = unstable_loss(Shifted(), battery, chosen)
    assert moved <= (3 * 1.0 + 1.0) / 4
    assert steady < moved <= steady + 0.25 + 1e-6


def test_float64_is_claimed_only_where_it_is_computed(battery: Battery) -> None:
    assert path(battery, torch.arange(4)).exact
    narrow = replace(battery, model=Before(lambda images: images.float(), battery.model))
    found = path(narrow, torch.arange(4))
    assert not found.exact
    assert not found.flipped.any()


def test_the_path_ends_where_the_attack_does_and_knows_what_it_passed(battery: Battery) -> None:
    chosen = torch.arange(4)
    found = path(battery, chosen)
    labels = battery.labels
    x_adv = perturb(
        battery.model,
        battery.images,
        lambda logits: margin(logits, labels),
        battery.threat,
        Search(battery.epsilon / 4, 40),
        battery.generator(2),
    )
    with torch.no_grad():
        assert found.fooled.tolist() == (battery.model(x_adv).argmax(dim=1) != labels).tolist()
    assert not found.copied.any()


def test_the_images_of_another_are_those_of_its_own_search_and_only_clean_right_ones_count(battery: Battery) -> None:
    with torch.no_grad():
        right = battery.model(battery.images).argmax(dim=1) == battery.labels
    unmoved = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval().requires_grad_(False)
    for parameter in unmoved.parameters():
        parameter.zero_()
    robust = robust_to_others(battery, {"itself": battery.model, "flat": unmoved})
    assert int(robust["itself"].sum()) < int(right.sum())
    assert not bool((robust["flat"] & ~right).any())
    assert int(robust["flat"].sum()) >= int(robust["itself"].sum())


def test_bounds_and_levels() -> None:
    """Of Wilson's interval by its formula, in float64."""

    def wilson(count: int, of: int, side: int) -> float:
        z, p = 1.959963984540054, count / of
        half = z * (p * (1 - p) / of + z * z / (4 * of * of)) ** 0.5
        return (p + z * z / (2 * of) + side * half) / (1 + z * z / of)

    for count, of in ((1, 100), (2, 200), (30, 64)):
        assert lower_bound(count, of) == pytest.approx(wilson(count, of, -1))
        assert upper_bound(count, of) == pytest.approx(wilson(count, of, 1))
    assert [share_above(count, 200, 0.002, 0.01) for count in (0, 1, 2, 6)] == ["pass", "pass", "warn", "fail"]
    assert [share_above(count, 5, 0.002, 0.01) for count in (1, 2, 3)] == ["warn", "warn", "fail"]
    assert more_often(7, 0) == pytest.approx(0.5**7)
    assert more_often(0, 0) == 1.0
    assert lower_bound(0, 0) == 0.0
