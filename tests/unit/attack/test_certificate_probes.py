"""What a certificate measures, against independent code: AutoAttack's own checks, and what the active test promises."""

import warnings
from collections.abc import Callable
from functools import partial

import pytest
import torch
from pyautoattack.autopgd_base import APGDAttack
from pyautoattack.checks import check_randomized, check_range_output, check_zero_gradients
from torch import nn

from stages.attack.certificate import active
from stages.attack.certificate.battery import Battery
from stages.attack.certificate.probes import Differentiable, differentiable, outputs, untargeted_dlr, zero_gradients
from stages.attack.certificate.verdict import lower_bound, more_often, share_above, upper_bound
from stages.core.artifacts import ImageSet
from stages.core.images.pixels import to_unit
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
    inner, surface = active._around(image, battery.epsilon, seeded(2))
    points = torch.cat([image.unsqueeze(0), inner, surface])
    sizes = (points - image).abs().amax(dim=(1, 2, 3))
    assert float(sizes[:-1].max()) <= 0.95 * battery.epsilon + 1e-6
    assert float(sizes[-1]) == pytest.approx(battery.epsilon, abs=1e-6)
    assert 0 <= float(points.min()) <= float(points.max()) <= 1
    features = active.Features(battery.model, battery.images)
    told = features(points).double()
    normal, offset, _, fits = active._readout(told)
    scores = told @ normal - offset
    assert fits
    assert float(scores[-1]) > 0 > float(scores[:-1].max())
    network = active.Binarized(features, normal.unsqueeze(0).float(), offset.view(1).float(), 1.0)
    assert network(surface).argmax(dim=1).tolist() == [1]
    assert network(inner[:1]).argmax(dim=1).tolist() == [0]


def test_features_are_what_the_last_linear_layer_is_given(battery: Battery) -> None:
    model = battery.model
    features = active.Features(model, battery.images)
    torch.testing.assert_close(model[2](features(battery.images)), model(battery.images))  # type: ignore[index]
    without = nn.Sequential(nn.Conv2d(3, 10, 8), nn.Flatten()).eval()
    torch.testing.assert_close(active.Features(without, battery.images)(battery.images), without(battery.images))


def test_no_readout_is_fitted_to_features_that_do_not_move() -> None:
    still = torch.ones(20, 5, dtype=torch.float64)
    assert not active._readout(still)[3]


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
    assert more_often(7, 0) == pytest.approx(0.5**7)
    assert more_often(0, 0) == 1.0
    assert lower_bound(0, 0) == 0.0
