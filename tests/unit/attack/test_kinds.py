"""Laws that every attack obeys, from one table; the model is random and the labels are its own predictions."""

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.attack.evaluate import attack_function
from stages.attack.margin import margin
from stages.core.config.attacks import Attack
from stages.core.config.plugins import declares, known, settings_of
from stages.core.errors import ConfigError
from stages.core.images.perturb import evaluating
from stages.core.images.threat import Norm, Threat
from tests.unit.drawing import random_states, weights_from

OPTIONS: dict[str, dict[str, Any]] = {
    "clean": {},
    "random_noise": {"draws": 300},
    "fgsm": {},
    "pgd": {"steps": 4, "restarts": 2},
    "margin_pgd": {"steps": 4},
    "cw": {"c": 1.0, "steps": 20, "lr": 0.05},
    "cw_torchattacks": {"c": 1.0, "steps": 20, "lr": 0.05},
    "autoattack": {},
    "autoattack_torchattacks": {},
}
KINDS = list(OPTIONS)
BOUNDED = [kind for kind in KINDS if not kind.startswith("cw")]
EPSILON: dict[Norm, float] = {"linf": 0.06, "l2": 0.9}


def build(classes: int = 10) -> nn.Sequential:
    """A small net in eval mode whose nested batch norm holds statistics of its own."""
    with weights_from(classes):
        body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, stride=2), nn.BatchNorm2d(4), nn.ReLU())
        head = nn.Linear(64, classes)
        model = nn.Sequential(body, nn.Flatten(), head)
        model(torch.rand(64, 3, 8, 8))
        head.weight.data.mul_(4)
    return model.eval()


def batch(model: nn.Module, size: int = 6) -> tuple[Tensor, Tensor]:
    """Images with some saturated pixels, and the labels the model gives them."""
    images = (torch.rand(size, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.1).clamp(0, 1)
    with evaluating(model), torch.no_grad():
        return images, model(images).argmax(1)


def run(
    kind: str, model: nn.Module, images: Tensor, labels: Tensor, norm: Norm, epsilon: float, seed: int = 0
) -> Tensor:
    threat = Threat(norm, epsilon)
    options = OPTIONS[kind] | ({"step_size": epsilon / 3} if kind.endswith("pgd") else {})
    return attack_function(kind)(model, images, labels, threat, torch.Generator().manual_seed(seed), **options)


def robust(model: nn.Module, x_adv: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x_adv).argmax(1) == labels


def test_the_table_names_every_attack() -> None:
    all_at_once = [kind for kind in known("attacks") if declares("attacks", kind, "ALL_AT_ONCE")]
    assert all_at_once == ["autoattack_engine"]  # its laws: test_engine.py and test_ensemble.py
    assert sorted([*KINDS, *all_at_once]) == known("attacks")
    assert [kind for kind in KINDS if declares("attacks", kind, "UNBOUNDED")] == ["cw", "cw_torchattacks"]


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_in_a_config_are_the_functions_own(kind: str) -> None:
    defaults = attack_function(kind).__kwdefaults__ or {}
    assert {name: setting.default for name, setting in settings_of("attacks", kind).items()} == defaults


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("kind", KINDS)
def test_adversarial_images_lie_in_box_and_ball(kind: str, norm: Norm) -> None:
    model = build()
    images, labels = batch(model)
    x_adv = run(kind, model, images, labels, norm, EPSILON[norm])
    assert x_adv.shape == images.shape
    assert not x_adv.requires_grad
    assert 0 <= float(x_adv.min()) <= float(x_adv.max()) <= 1
    size = float(Threat(norm, 1.0).size(images, x_adv).max())
    if kind == "clean":
        assert size == 0
    elif kind in BOUNDED:
        assert 0.3 * EPSILON[norm] < size <= EPSILON[norm] + 1e-6
    if kind != "clean":
        assert not bool(robust(model, x_adv, labels).all())


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("kind", BOUNDED)
def test_epsilon_zero_returns_the_images(kind: str, norm: Norm) -> None:
    model = build()
    images, labels = batch(model)
    assert torch.equal(run(kind, model, images, labels, norm, 0.0), images)


@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_leaves_model_images_and_random_states_as_it_found_them(kind: str) -> None:
    model = build()
    model.training = True  # what makes torchattacks switch the inner batch norm and leave it so
    model[-1].bias.requires_grad_(False)
    images, labels = batch(model)
    modes = [module.training for module in model.modules()]
    asking = [parameter.requires_grad for parameter in model.parameters()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    pixels, streams = images.clone(), random_states()
    run(kind, model, images, labels, "linf", 0.5)
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == asking
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.equal(images, pixels)
    assert random_states() == streams


@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_is_decided_by_its_generator(kind: str) -> None:
    model = build()
    images, labels = batch(model, 3)
    first = run(kind, model, images, labels, "linf", 0.2)
    torch.manual_seed(99)
    assert torch.equal(run(kind, model, images, labels, "linf", 0.2), first)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("kind", ["fgsm", "pgd", "margin_pgd"])
def test_gradient_attacks_raise_the_loss_of_every_image(kind: str, norm: Norm) -> None:
    model = build()
    images, labels = batch(model)
    x_adv = run(kind, model, images, labels, norm, EPSILON[norm] / 2)
    loss = margin if kind == "margin_pgd" else partial(F.cross_entropy, reduction="none")
    with torch.no_grad():
        before, after = (loss(model(x), labels) for x in (images, x_adv))
    assert bool((after > before).all())


@pytest.mark.slow
def test_autoattack_leaves_no_image_robust_that_pgd_fools() -> None:
    model = build()
    images, labels = batch(model, 12)
    counts = {
        kind: int(robust(model, run(kind, model, images, labels, "linf", 0.02), labels).sum())
        for kind in ("clean", "pgd", "autoattack")
    }
    assert counts["autoattack"] <= counts["pgd"] < counts["clean"] == 12
    assert counts["autoattack"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["autoattack", "autoattack_torchattacks"])
def test_autoattack_runs_on_the_fewest_classes_it_can_and_refuses_fewer(kind: str) -> None:
    model = build(classes=4)
    images, labels = batch(model)
    x_adv = run(kind, model, images, labels, "linf", 0.02)  # some image lasts, so every target is tried
    assert 0 < int(robust(model, x_adv, labels).sum()) < len(images)
    with pytest.raises(ConfigError, match="4 classes or more and the model has 3"):
        run(kind, build(classes=3), images, labels.clamp_max(2), "linf", 0.2)


def test_autoattack_returns_misclassified_images_untouched() -> None:
    model = build()
    images, labels = batch(model, 4)
    wrong = (labels + torch.tensor([0, 1, 0, 1])) % 10
    x_adv = run("autoattack", model, images, wrong, "linf", 0.3)
    assert torch.equal(x_adv[1::2], images[1::2])
    assert not bool(robust(model, x_adv, wrong).any())


def test_an_image_once_fooled_stays_fooled_by_further_restarts() -> None:
    model = build()
    images, labels = batch(model, 40)
    threat = Threat("linf", 0.015)
    fooled = []
    for restarts in (1, 2, 5):
        generator = torch.Generator().manual_seed(0)
        options = {"step_size": 0.01, "steps": 1, "restarts": restarts}
        x_adv = attack_function("pgd")(model, images, labels, threat, generator, **options)
        fooled.append(~robust(model, x_adv, labels))
    assert bool((fooled[0] <= fooled[1]).all())
    assert bool((fooled[1] <= fooled[2]).all())
    assert int(fooled[0].sum()) < int(fooled[2].sum())


@pytest.mark.parametrize(
    ("attack", "rule"),
    [
        ({"kind": "pgd", "options": {"restarts": 2, "random_start": False}}, "random_start: true"),
        ({"kind": "margin_pgd", "options": {"restarts": 2, "random_start": False}}, "random_start: true"),
        ({"kind": "fgsm", "norm": "l2"}, "norm: fgsm is an attack under linf alone"),
        ({"kind": "cw", "norm": "l2"}, "norm: cw is held to no ball"),
        ({"kind": "cw_torchattacks", "epsilon": 0.1}, "epsilon: cw_torchattacks is held to no ball"),
        ({"kind": "pgd", "options": {"step_size": 2}}, "did you mean 2/255"),
    ],
)
def test_what_an_attack_cannot_do_is_refused_by_its_settings(attack: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Attack.model_validate(attack)


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_of_an_attack_is_bounded(kind: str) -> None:
    numbers = {key: found.default for key, found in settings_of("attacks", kind).items() if found.default is not True}
    for key in numbers:
        with pytest.raises(ValueError, match=rf"Value error, {key}: "):
            Attack(kind=kind, options={key: -1})


def test_margin_is_the_best_other_logit_less_the_true_one() -> None:
    logits = torch.tensor([[-3.0, -1.0, -2.0], [5.0, 1.0, 4.0], [0.0, 0.0, -1.0]])
    assert margin(logits, torch.tensor([1, 2, 0])).tolist() == [-1.0, 1.0, 0.0]


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_margin_pgd_does_not_depend_on_the_scale_of_the_logits(scale: float) -> None:
    model = build()
    images, labels = batch(model)
    plain = run("margin_pgd", model, images, labels, "linf", 0.03)
    for parameter in model[-1].parameters():
        parameter.data.mul_(scale)
    assert torch.equal(
        robust(model, run("margin_pgd", model, images, labels, "linf", 0.03), labels), robust(model, plain, labels)
    )
