"""Each objective and its companions against the published formula, written anew in NumPy float64."""

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.core.config.method import Method
from stages.core.errors import ConfigError
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.train.batch import Augmented, Context, Targets
from stages.train.compose import Neighborhood, method_loss
from tests.unit.drawing import seeded, weights_from

BATCH, CLASSES, M, SIDE = 4, 3, 2, 2
PIXELS = 3 * SIDE * SIDE
ADVERSARIAL = ("at", "trades", "mart", "hat")
OBJECTIVES = ("ce", *ADVERSARIAL)
NO_BALL = Threat("linf", 0.0), Search(0.1, 1)


def pictures(*shape: int, seed: int) -> Tensor:
    return torch.rand((*shape, 3, SIDE, SIDE), generator=seeded(seed), dtype=torch.float64)


def smooth_net(seed: int) -> nn.Module:
    with weights_from(seed):
        return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 5), nn.Tanh(), nn.Linear(5, CLASSES)).double()


@pytest.fixture
def model() -> nn.Module:
    return smooth_net(0)


@pytest.fixture
def helper() -> nn.Module:
    return smooth_net(9).eval().requires_grad_(False)


@pytest.fixture
def images() -> Tensor:
    return pictures(BATCH, seed=1)


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 2, 1])


@pytest.fixture
def x_adv(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Fixed adversarial images, which every objective's search now returns."""
    fixed = (images + 0.2 * torch.randn(images.shape, generator=seeded(2), dtype=images.dtype)).clamp(0, 1)
    for name in ADVERSARIAL:
        module = importlib.import_module(f"stages.train.objectives.{name}")
        search = "perturb" if hasattr(module, "perturb") else "perturb_by_kl"
        monkeypatch.setattr(module, search, lambda *_: fixed)
    return fixed


def method(objective: str, **rest: Any) -> Method:
    return Method.model_validate({"objective": objective, **rest})


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean([-np.log(softmax(logits)[row, label]) for row, label in enumerate(labels)]))


def divergence(logits: np.ndarray, logits_adv: np.ndarray) -> np.ndarray:
    p, q = softmax(logits), softmax(logits_adv)
    return (p * np.log(p / q)).sum(1)


def structure_gap(anchors: np.ndarray, neighbors: np.ndarray, structure: np.ndarray) -> float:
    distances = np.linalg.norm(neighbors - anchors[:, None], axis=2)
    return float(((structure - distances / distances.sum(1, keepdims=True)) ** 2).sum(1).mean())


def published(name: str, model: nn.Module, helper: nn.Module, x: Tensor, x_adv: Tensor, labels: Tensor) -> float:
    """The objective as its paper and its authors' code have it."""

    def f(at: Tensor) -> np.ndarray:
        return model(at).detach().numpy()

    y = labels.numpy()
    if name == "ce":
        return cross_entropy(f(x), y)
    if name == "at":
        return cross_entropy(f(x_adv), y)
    if name == "trades":
        return cross_entropy(f(x), y) + 6 * divergence(f(x), f(x_adv)).mean()
    if name == "hat":
        helper_labels = helper(x_adv).argmax(1).numpy()
        beyond = f(x + 2 * (x_adv - x))
        trades = cross_entropy(f(x), y) + 2.5 * divergence(f(x), f(x_adv)).mean()
        return trades + 0.5 * cross_entropy(beyond, helper_labels)
    p, p_adv, total = softmax(f(x)), softmax(f(x_adv)), 0.0
    for row, label in enumerate(y):
        last_two = np.argsort(p_adv[row])[-2:]
        runner_up = last_two[0] if last_two[1] == label else last_two[1]
        boosted = -np.log(p_adv[row, label]) - np.log(1.0001 - p_adv[row, runner_up] + 1e-12)
        total += boosted + 5 * divergence(f(x), f(x_adv))[row] * (1.0000001 - p[row, label])
    return total / len(y)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_is_its_published_formula(
    name: str, model: nn.Module, helper: nn.Module, images: Tensor, labels: Tensor, x_adv: Tensor
) -> None:
    context = Context(*NO_BALL, seeded(), helper)
    loss, metrics = method_loss(model, Augmented(images, Targets(labels)), None, method(name), context)
    expected = published(name, model, helper, images, x_adv, labels)
    assert float(metrics["loss"]) == float(metrics["objective_loss"]) == float(loss.detach())
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_gradient_is_that_of_the_published_formula_by_finite_differences(
    name: str, model: nn.Module, helper: nn.Module, images: Tensor, labels: Tensor, x_adv: Tensor
) -> None:
    context = Context(*NO_BALL, seeded(), helper)
    loss, _ = method_loss(model, Augmented(images, Targets(labels)), None, method(name), context)
    loss.backward()
    step = 1e-6
    for parameter in model.parameters():
        assert parameter.grad is not None
        values, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for place in range(0, len(values), 3):
            sides = []
            for shift in (step, -2 * step):
                values[place] += shift
                sides.append(published(name, model, helper, images, x_adv, labels))
            values[place] += step
            slope = (sides[0] - sides[1]) / (2 * step)
            assert float(gradient[place]) == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_mixed_targets_mix_the_losses_of_both_labels(
    name: str, model: nn.Module, helper: nn.Module, images: Tensor, labels: Tensor, x_adv: Tensor
) -> None:
    context, others = Context(*NO_BALL, seeded(), helper), labels.roll(1)

    def loss_of(targets: Targets) -> float:
        return float(method_loss(model, Augmented(images, targets), None, method(name), context)[0].detach())

    mixed = loss_of(Targets(labels, others, 0.3))
    assert mixed == pytest.approx(0.3 * loss_of(Targets(labels)) + 0.7 * loss_of(Targets(others)), rel=1e-10)
    assert loss_of(Targets(labels)) != pytest.approx(loss_of(Targets(others)), rel=1e-3)


def test_mart_is_finite_where_the_net_is_certain_and_wrong(labels: Tensor) -> None:
    module = importlib.import_module("stages.train.objectives.mart")
    logits = (200.0 * torch.eye(CLASSES)[(labels + 1) % CLASSES]).requires_grad_()
    logits_adv = (-200.0 * torch.eye(CLASSES)[labels]).requires_grad_()
    loss, _ = module.mart_loss(logits, logits_adv, Targets(labels), beta=5.0)
    gradients = torch.autograd.grad(loss, (logits, logits_adv))
    assert all(bool(value.isfinite().all()) for value in (loss, *gradients))


def test_hat_without_a_helper_is_refused(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    with pytest.raises(ConfigError, match="needs a helper net"):
        method_loss(model, Augmented(images, Targets(labels)), None, method("hat"), Context(*NO_BALL, seeded()))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_lsp_term_is_added_on_adversarial_logits_against_clean_neighbors(
    name: str, model: nn.Module, helper: nn.Module, images: Tensor, labels: Tensor, x_adv: Tensor
) -> None:
    neighbors = pictures(BATCH, M, seed=4)
    structure = torch.rand(BATCH, M, generator=seeded(5), dtype=torch.float64).softmax(1)
    chosen = method(name, lsp={"m": M, "weight": 7.0})
    context = Context(*NO_BALL, seeded(), helper)
    hood = Neighborhood(neighbors.flatten(0, 1), structure)
    loss, metrics = method_loss(model, Augmented(images, Targets(labels)), hood, chosen, context)
    anchors = model(images if name == "ce" else x_adv).detach().numpy()
    around = model(neighbors.flatten(0, 1)).detach().numpy().reshape(BATCH, M, CLASSES)
    gap = structure_gap(anchors, around, structure.numpy())
    assert float(metrics["lsp_term"]) == pytest.approx(gap, rel=1e-4)
    expected = published(name, model, helper, images, x_adv, labels) + 7 * gap
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["ce", "at"])
def test_views_are_tied_by_12_times_their_jensen_shannon_divergence(
    name: str, model: nn.Module, images: Tensor, labels: Tensor, x_adv: Tensor
) -> None:
    augmentation = importlib.import_module("stages.train.augmentations.augmix")
    views = (pictures(BATCH, seed=6), pictures(BATCH, seed=7))
    tied = Augmented(images, Targets(labels), views, lambda logits: 12 * augmentation.jensen_shannon(logits))
    hood = Neighborhood(pictures(BATCH * M, seed=4), torch.full((BATCH, M), 1 / M, dtype=torch.float64))
    chosen = method(name, lsp={"m": M})
    loss, metrics = method_loss(model, tied, hood, chosen, Context(*NO_BALL, seeded()))
    probabilities = [softmax(model(at).detach().numpy()) for at in (images if name == "ce" else x_adv, *views)]
    mean = sum(probabilities) / 3
    expected = 12 * sum((p * np.log(p / mean)).sum(1).mean() for p in probabilities) / 3
    assert float(metrics["consistency_term"]) == pytest.approx(expected, rel=1e-10)
    parts = metrics["objective_loss"] + metrics["consistency_term"] + metrics["lsp_term"]
    assert float(loss.detach()) == pytest.approx(float(parts), rel=1e-10)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_training_forwards_come_as_the_recipe_orders_them(
    name: str, model: nn.Module, helper: nn.Module, images: Tensor, labels: Tensor, x_adv: Tensor
) -> None:
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    neighbors = pictures(BATCH, M, seed=4)
    hood = Neighborhood(neighbors.flatten(0, 1), torch.full((BATCH, M), 1 / M, dtype=torch.float64))
    context = Context(*NO_BALL, seeded(), helper)
    method_loss(model, Augmented(images, Targets(labels)), hood, method(name, lsp={"m": M}), context)
    around = neighbors.flatten(0, 1)
    orders = {
        "ce": [torch.cat([images, around])],
        "at": [x_adv, around],
        "trades": [images, x_adv, around],
        "mart": [images, x_adv, around],
        "hat": [images, x_adv, images + 2 * (x_adv - images), around],
    }
    assert [len(batch) for batch in seen] == [len(batch) for batch in orders[name]]
    for given, expected in zip(seen, orders[name], strict=True):
        torch.testing.assert_close(given, expected)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_leaves_modes_parameters_and_gradients_as_it_found_them(
    name: str, helper: nn.Module, images: Tensor, labels: Tensor
) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), smooth_tail()).double().train()
    net[2].eval()
    net[0].bias.requires_grad_(False)
    before = {key: value.clone() for key, value in net.state_dict().items() if "running" not in key}
    threat, search = Threat("linf", 0.1), Search(0.05, 2)
    loss, _ = method_loss(
        net, Augmented(images, Targets(labels)), None, method(name), Context(threat, search, seeded(), helper)
    )
    assert [module.training for module in (net[0], net[1], net[2])] == [True, True, False]
    assert [parameter.requires_grad for parameter in net[0].parameters()] == [True, False]
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items() if "num_batches" not in key)
    forwards = {"ce": 1, "at": 1, "trades": 2, "mart": 2, "hat": 3}[name]
    assert int(net.state_dict()["1.num_batches_tracked"]) == forwards
    assert loss.requires_grad


def smooth_tail() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * SIDE * SIDE, CLASSES))


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_search_starts_and_ascends_as_the_recipe_says(
    name: str, model: nn.Module, helper: nn.Module, images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []

    def spy(_: nn.Module, given: Tensor, loss: Any, threat: Threat, search: Search, __: torch.Generator) -> Tensor:
        handed.extend([loss, threat, search])
        return given

    for place in (f"stages.train.objectives.{name}", "stages.train.kl"):
        module = importlib.import_module(place)
        if hasattr(module, "perturb"):
            monkeypatch.setattr(module, "perturb", spy)
    context = Context(Threat("linf", 0.1), Search(0.05, 2, "none"), seeded(), helper)
    method_loss(model, Augmented(images, Targets(labels)), None, method(name), context)
    per_example_loss, threat, search = handed
    assert threat == Threat("linf", 0.1)
    assert search == Search(0.05, 2, "uniform" if name == "at" else "gaussian")
    logits = torch.randn(BATCH, CLASSES, generator=seeded(3), dtype=torch.float64)
    clean = model(images).detach().numpy()
    ascended = {
        True: divergence(clean, logits.numpy()),
        False: -np.log(softmax(logits.numpy())[range(BATCH), labels.numpy()]),
    }[name in ("trades", "hat")]
    np.testing.assert_allclose(per_example_loss(logits).numpy(), ascended, rtol=1e-10)
