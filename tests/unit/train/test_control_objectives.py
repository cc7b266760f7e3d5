"""The two controls of the evaluation against their formulas, written anew in NumPy float64."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from stages.core.config.method import Method, TrainSettings
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.core.models import Classifier
from stages.train.batch import Augmented, Context, Metrics, Targets
from stages.train.compose import Neighborhood, method_loss
from stages.train.objectives.manifold import normalized, switched
from tests.unit.drawing import seeded, weights_from
from tests.unit.train.small_training import inputs, run, settings

BATCH, CLASSES, SIDE, HIDDEN, EPSILON, M = 4, 3, 4, 6, 0.1, 2
CONTROLS = ("gradient-norm", "manifold")
Array = np.ndarray[Any, np.dtype[np.float64]]


def pictures(count: int, seed: int) -> Tensor:
    return torch.rand((count, 3, SIDE, SIDE), generator=seeded(seed), dtype=torch.float64)


@pytest.fixture
def images() -> Tensor:
    return pictures(BATCH, 1)


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 2, 1])


@pytest.fixture
def smooth() -> nn.Sequential:
    """Two layers, whose input gradient is written down easily."""
    with weights_from(0):
        first, second = nn.Linear(3 * SIDE * SIDE, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        return nn.Sequential(nn.Flatten(), first, nn.Tanh(), second).double()


@pytest.fixture
def normed() -> nn.Sequential:
    """A batch norm in train mode, an activation that overwrites its input, a linear layer."""
    with weights_from(0):
        net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(3 * SIDE * SIDE, CLASSES))
    return net.double().train()


def context(norm: Any = "linf", epsilon: float = EPSILON) -> Context:
    return Context(Threat(norm, epsilon), Search(0.1, 1), seeded(3))


def loss_of(
    name: str, model: nn.Module, images: Tensor, targets: Targets, given: Context | None = None, **options: Any
) -> tuple[Tensor, Metrics]:
    chosen = Method.model_validate({"objective": {"name": name, **options}})
    return method_loss(model, Augmented(images, targets), None, chosen, given or context())


def softmax(logits: Array) -> Array:
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(1, keepdims=True))


def cross_entropy(logits: Array, labels: Tensor) -> float:
    return float(-np.log(softmax(logits)[range(len(labels)), labels.numpy()]).mean())


def penalized(model: nn.Sequential, images: Tensor, weights: Array, order: int, factor: float) -> float:
    """CE and the norm of dCE/dx = W1' ((1 - h^2) * W2' (p - y)), both with mixed labels `weights` (B, K)."""
    (w1, b1), (w2, b2) = ([value.detach().numpy() for value in layer.parameters()] for layer in (model[1], model[3]))
    hidden = np.tanh(images.flatten(1).numpy() @ w1.T + b1)
    p = softmax(hidden @ w2.T + b2)
    slopes = ((p - weights) @ w2 * (1 - hidden**2)) @ w1
    return float(-(weights * np.log(p)).sum(1).mean() + factor * np.linalg.norm(slopes, ord=order, axis=1).mean())


@pytest.mark.parametrize(("norm", "order"), [("linf", 1), ("l2", 2)])
def test_gradient_norm_is_its_formula_in_the_dual_norm(
    norm: str, order: int, smooth: nn.Sequential, images: Tensor, labels: Tensor
) -> None:
    loss, metrics = loss_of("gradient-norm", smooth, images, Targets(labels), context(norm), weight=3)
    expected = penalized(smooth, images, np.eye(CLASSES)[labels], order, 3 * EPSILON)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-12)
    assert float(metrics["natural_loss"] + 3 * EPSILON * metrics["gradient_norm"]) == pytest.approx(expected, rel=1e-12)


def test_gradient_norm_with_mixed_labels_is_the_norm_of_the_mixed_losses_gradient(
    smooth: nn.Sequential, images: Tensor, labels: Tensor
) -> None:
    loss, _ = loss_of("gradient-norm", smooth, images, Targets(labels, labels.roll(1), 0.3))
    weights = 0.3 * np.eye(CLASSES)[labels] + 0.7 * np.eye(CLASSES)[labels.roll(1)]
    assert float(loss.detach()) == pytest.approx(penalized(smooth, images, weights, 1, EPSILON), rel=1e-12)


def test_the_gradient_of_gradient_norm_is_that_of_its_formula_by_finite_differences(
    smooth: nn.Sequential, images: Tensor, labels: Tensor
) -> None:
    loss_of("gradient-norm", smooth, images, Targets(labels), weight=3)[0].backward()
    for parameter in smooth.parameters():
        assert parameter.grad is not None
        values, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for place in range(0, len(values), 5):
            sides = []
            for shift in (1e-6, -2e-6):
                values[place] += shift
                sides.append(penalized(smooth, images, np.eye(CLASSES)[labels], 1, 3 * EPSILON))
            values[place] += 1e-6
            assert float(gradient[place]) == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_gradient_norm_is_the_largest_loss_in_a_small_ball(
    norm: Any, smooth: nn.Sequential, images: Tensor, labels: Tensor
) -> None:
    epsilon = 1e-4
    threat, inside = Threat(norm, epsilon), images * 0.8 + 0.1
    clean = cross_entropy(smooth(inside).detach().numpy(), labels)
    shown = inside.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(smooth(shown), labels, reduction="sum"), shown)
    worst = cross_entropy(smooth(inside + epsilon * threat.steepest(gradient)).detach().numpy(), labels)
    loss, _ = loss_of("gradient-norm", smooth, inside, Targets(labels), context(norm, epsilon))
    assert float(loss.detach()) - clean == pytest.approx(worst - clean, rel=1e-3)


def noise(images: Tensor, norm: str) -> Array:
    drawn = torch.randn(images.shape, generator=seeded(3)).double().numpy()
    if norm == "linf":
        return np.asarray(EPSILON * np.sign(drawn))
    return np.asarray(EPSILON * drawn / np.sqrt((drawn**2).sum((1, 2, 3), keepdims=True)))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_intrinsic_term_is_the_graph_laplacians_of_all_noisy_points_with_the_pairs_of_one_image_alone(
    norm: str, smooth: nn.Sequential, images: Tensor, labels: Tensor
) -> None:
    moved = noise(images, norm)
    points = np.concatenate([images.numpy() + moved, images.numpy() - moved])
    f = smooth(torch.from_numpy(points)).detach().numpy()
    kernel = np.zeros((2 * BATCH, 2 * BATCH))
    for i in range(2 * BATCH):
        for j in range(2 * BATCH):
            if i != j and i % BATCH == j % BATCH:
                kernel[i, j] = np.exp(-((points[i] - points[j]) ** 2).sum() / 7)
    of_a_pair = kernel[kernel > 0]
    assert len(of_a_pair) == 2 * BATCH
    np.testing.assert_allclose(of_a_pair, of_a_pair[0])
    laplacian = np.diag(kernel.sum(1)) - kernel
    term = np.trace(f.T @ laplacian @ f) / of_a_pair[0] / BATCH
    loss, metrics = loss_of("manifold", smooth, images, Targets(labels), context(norm), intrinsic=2, hamming=0)
    assert float(metrics["intrinsic_term"]) == pytest.approx(term, rel=1e-6)
    clean = cross_entropy(smooth(images).detach().numpy(), labels)
    assert float(loss.detach()) == pytest.approx(clean + 2 * term, rel=1e-6)


def test_the_hamming_term_is_its_formula(normed: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    moved = noise(images, "linf")
    batch = np.concatenate([images.numpy(), images.numpy() + moved, images.numpy() - moved])
    mean, variance = batch.mean((0, 2, 3), keepdims=True), batch.var((0, 2, 3), keepdims=True)
    z = (batch - mean) / np.sqrt(variance + 1e-5)
    signs = np.tanh(8 * z)
    shares = [np.abs(signs[BATCH + i] - signs[2 * BATCH + i]).mean() / 2 for i in range(BATCH)]
    weight, bias = (value.detach().numpy() for value in normed[3].parameters())
    clean = cross_entropy(np.maximum(z[:BATCH], 0).reshape(BATCH, -1) @ weight.T + bias, labels)
    loss, metrics = loss_of("manifold", normed, images, Targets(labels), hamming=5, sharpness=8)
    assert float(metrics["hamming_term"]) == pytest.approx(float(np.square(shares).mean()), rel=1e-6)
    assert float(loss.detach()) == pytest.approx(clean + 5 * float(np.square(shares).mean()), rel=1e-6)


def test_a_sharp_hamming_distance_counts_signs() -> None:
    plus, minus = (torch.randn(5, 7, 3, 3, generator=seeded(seed), dtype=torch.float64) for seed in (1, 2))
    counted = (plus.sign() != minus.sign()).double().flatten(1).mean(1)
    torch.testing.assert_close(switched(plus, minus, sharpness=1e6), counted, rtol=0, atol=1e-3)
    assert torch.equal(switched(plus, plus, sharpness=1e6), torch.zeros(5, dtype=torch.float64))


def test_every_unit_before_an_activation_is_seen_in_a_preactivation_net() -> None:
    with weights_from(0):
        model = Classifier("preact_resnet18", width=2, classes=CLASSES)
    with normalized(model) as layers, torch.no_grad():
        model(torch.rand(2, 3, 8, 8, generator=seeded(1)))
    assert len(layers) == 17
    assert all(float(layer.min()) < 0 < float(layer.max()) for layer in layers)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", CONTROLS)
def test_in_a_ball_of_radius_0_it_is_cross_entropy(
    name: str, normed: nn.Sequential, images: Tensor, labels: Tensor
) -> None:
    loss, _ = loss_of(name, normed, images, Targets(labels), context(epsilon=0))
    plain, _ = loss_of("ce", normed, images, Targets(labels))
    assert float(loss.detach()) == pytest.approx(float(plain.detach()), rel=1e-12)


def test_manifold_mixes_the_losses_of_both_labels(normed: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    def found(targets: Targets) -> float:
        return float(loss_of("manifold", normed, images, targets)[0].detach())

    mixed = found(Targets(labels, labels.roll(1), 0.3))
    assert mixed == pytest.approx(0.3 * found(Targets(labels)) + 0.7 * found(Targets(labels.roll(1))), rel=1e-12)


@pytest.mark.parametrize("name", CONTROLS)
def test_anchors_and_neighbors_share_one_forward_and_the_lsp_term_is_theirs(
    name: str, smooth: nn.Sequential, images: Tensor, labels: Tensor
) -> None:
    neighbors, structure = pictures(BATCH * M, 4), torch.full((BATCH, M), 1 / M, dtype=torch.float64)
    hood = Neighborhood(neighbors, structure)
    seen: list[Tensor] = []
    smooth.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    terms = {}
    for objective in (name, "ce"):
        chosen = Method.model_validate({"objective": objective, "lsp": {"m": M}})
        terms[objective] = method_loss(smooth, Augmented(images, Targets(labels)), hood, chosen, context())[1]
    assert [len(batch) for batch in seen] == [(3 if name == "manifold" else 1) * BATCH + BATCH * M, BATCH + BATCH * M]
    assert torch.equal(seen[0][:BATCH], images)
    assert torch.equal(seen[0][-BATCH * M :], neighbors)
    assert float(terms[name]["lsp_term"]) == pytest.approx(float(terms["ce"]["lsp_term"]), rel=1e-6)


@pytest.mark.parametrize("name", CONTROLS)
def test_it_leaves_images_modes_hooks_and_gradients_as_it_found_them(
    name: str, normed: nn.Sequential, images: Tensor, labels: Tensor
) -> None:
    normed[1].eval()
    before = images.clone()
    loss, metrics = loss_of(name, normed, images, Targets(labels))
    assert torch.equal(images, before)
    assert not images.requires_grad
    assert [module.training for module in normed] == [True, False, True, True]
    assert all(parameter.grad is None for parameter in normed.parameters())
    assert not any(module._forward_hooks for module in normed.modules())
    assert int(normed.state_dict()["0.num_batches_tracked"]) == 1
    assert loss.requires_grad
    assert not any(value.requires_grad for value in metrics.values())


@pytest.mark.parametrize("precision", ["exact", "float32", "bfloat16"])
@pytest.mark.parametrize("name", CONTROLS)
def test_it_trains_in_every_precision(name: str, precision: str, tmp_path: Any) -> None:
    state = run(settings({"objective": name}, precision=precision, epochs=2), inputs(), tmp_path / "state.pt")
    assert len(state.history) == 2
    assert all(np.isfinite(row["loss"]) for row in state.history)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_recipe_that_compiles_is_refused(name: str) -> None:
    raw = {
        "recipe": {"precision": "float32", "compile": True},
        "model": {},
        "augment": {},
        "monitor": {},
    }
    assert TrainSettings.model_validate({**raw, "method": {"objective": "ce"}}).recipe.compile
    with pytest.raises(ValidationError, match=f"objective {name} needs .*; write compile: false"):
        TrainSettings.model_validate({**raw, "method": {"objective": name}})
