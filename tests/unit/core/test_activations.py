"""Activations: smooth where they are said to be, at every place of both backbones, and in a checkpoint's header."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from stages.core.artifacts import write_weights
from stages.core.config.data import Model
from stages.core.errors import ConfigError
from stages.core.models import BACKBONES, Classifier
from stages.core.models.activations import ACTIVATIONS
from stages.core.models.checkpoint import load_classifier
from tests.unit.drawing import seeded, weights_from

SMOOTH = sorted(ACTIVATIONS.keys() - {"relu"})
STEP = 1e-3


def slopes(name: str) -> Tensor:
    """Derivatives at points STEP apart, 0 in their middle."""
    points = (torch.arange(-3000, 3001, dtype=torch.float64) * STEP).requires_grad_()
    return torch.autograd.grad(ACTIVATIONS[name](points.clone()).sum(), points)[0]


def classifier(backbone: str, activation: str) -> Classifier:
    with weights_from(0):
        return Classifier(backbone, width=2, classes=3, activation=activation).eval()


def test_every_activation_can_be_configured_and_built() -> None:
    assert Model.model_json_schema()["properties"]["activation"]["enum"] == list(ACTIVATIONS)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_activation_has_a_slope_that_makes_no_jump(name: str) -> None:
    assert float(slopes(name).diff().abs().max()) < 3 * STEP
    assert float(slopes("relu").diff().abs().max()) == 1


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_activation_nears_the_rectifier_far_from_zero(name: str) -> None:
    far = torch.tensor([-50.0, -20.0, 20.0, 50.0], dtype=torch.float64)
    torch.testing.assert_close(ACTIVATIONS[name](far), F.relu(far), rtol=0, atol=1e-6)


def test_softplus_is_its_formula() -> None:
    points = torch.linspace(-3, 3, 101, dtype=torch.float64)
    torch.testing.assert_close(ACTIVATIONS["softplus"](points), torch.log(1 + torch.exp(10 * points)) / 10)


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_a_network_rectifies_nowhere_if_it_has_another_activation(backbone: str) -> None:
    calls = {
        name: [node.target for node in fx.symbolic_trace(classifier(backbone, name)).graph.nodes]
        for name in ("relu", "gelu")
    }
    assert calls["relu"].count(F.relu) == calls["gelu"].count(F.gelu) == 17
    assert F.relu not in calls["gelu"]
    assert not any(isinstance(module, nn.ReLU) for module in classifier(backbone, "gelu").modules())


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_network_can_be_differentiated_twice_with_and_without_gradients_of_weights(backbone: str, name: str) -> None:
    model = classifier(backbone, name).train()
    images = torch.rand(4, 3, 8, 8, generator=seeded(1)).requires_grad_()
    (gradient,) = torch.autograd.grad(model(images).logsumexp(1).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert all(weight.grad is not None and bool(weight.grad.isfinite().all()) for weight in model.parameters())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_checkpoint_keeps_its_activation(name: str, tmp_path: Path) -> None:
    header = Model(width=2, activation=name).header(3)  # type: ignore[arg-type]
    with weights_from(0):
        model = Classifier(**header).eval()
    write_weights(tmp_path / "model.safetensors", model.state_dict(), header)
    again, architecture = load_classifier(tmp_path / "model.safetensors", torch.device("cpu"))
    images = torch.rand(4, 3, 8, 8, generator=seeded(1))
    assert torch.equal(again(images), model(images))
    assert architecture == header
    assert ("activation" in header) == (name != "relu")


def test_a_run_with_the_rectifier_keeps_its_name() -> None:
    assert "activation" not in Model().identity()
    assert Model(activation="silu").identity()["activation"] == "silu"


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^activation 'tanh' is unknown; choose one of gelu, relu, silu, softplus$"):
        Classifier("resnet18", width=2, classes=3, activation="tanh")
