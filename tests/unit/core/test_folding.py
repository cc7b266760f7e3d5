"""A folded copy is the same function: batch norm in the convolutions, in float32 to rounding and in bfloat16 nearly."""

import pytest
import torch
from torch import Tensor, nn

from stages.core.errors import ConfigError
from stages.core.models import BACKBONES, Classifier
from stages.core.models.activations import ACTIVATIONS
from stages.core.models.folding import SearchCopy, folded
from tests.unit.drawing import seeded, weights_from


def network(backbone: str, activation: str = "relu") -> Classifier:
    """A classifier whose batch norms all do something."""
    with weights_from(0):
        normalization = {"mean": (0.4, 0.4, 0.5), "std": (0.2, 0.2, 0.3)}
        model = Classifier(backbone, width=4, classes=10, activation=activation, **normalization)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in ((module.weight, 0.5, 1.5), (module.running_var, 0.5, 2), (module.bias, -1, 1)):
                assert values is not None
                values.data.uniform_(low, high, generator=seeded(1))
            assert module.running_mean is not None
            module.running_mean.normal_(generator=seeded(2))
    return model.eval()


def input_gradient(model: nn.Module, images: Tensor) -> Tensor:
    images = images.clone().requires_grad_(True)
    return torch.autograd.grad(model(images).logsumexp(dim=1).sum(), images)[0]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_logits_and_gradients_are_the_models(backbone: str, activation: str) -> None:
    model, images = network(backbone, activation), torch.rand(4, 3, 16, 16, generator=seeded(0))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    copy, narrow = folded(model, images), folded(model, images, torch.bfloat16)
    with torch.no_grad():
        logits = model(images)
        torch.testing.assert_close(copy(images), logits, rtol=1e-4, atol=1e-5)
        scale = logits.abs().max()
        assert narrow(images).dtype == torch.float32
        assert 0 < (narrow(images) - logits).abs().max() < 0.05 * scale
    gradient = input_gradient(model, images)
    torch.testing.assert_close(input_gradient(copy, images), gradient, rtol=1e-3, atol=1e-6)
    cosine = torch.cosine_similarity(input_gradient(narrow, images).flatten(), gradient.flatten(), dim=0)
    assert cosine > 0.99
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in copy.parameters())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_a_copy_follows_the_model_that_trains_bit_for_bit_as_if_made_anew(
    backbone: str, precision: torch.dtype
) -> None:
    model, images = network(backbone), torch.rand(4, 3, 16, 16, generator=seeded(0))
    copy = SearchCopy(model, images, precision)
    before = copy.network(images)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        model(images).logsumexp(dim=1).mean().backward()
        optimizer.step()
    assert torch.equal(copy.network(images), before)
    followed = copy.follow()
    assert model.training
    assert torch.equal(followed(images), folded(model.eval(), images, precision)(images))
    assert not torch.equal(followed(images), before)
    assert not any(parameter.requires_grad for parameter in followed.parameters())


def test_every_batch_norm_behind_a_convolution_is_gone() -> None:
    copies = {name: folded(network(name), torch.rand(4, 3, 16, 16, generator=seeded(0))) for name in BACKBONES}
    left = {
        name: sum(isinstance(module, nn.BatchNorm2d) for module in found.modules()) for name, found in copies.items()
    }
    calls = {
        name: [str(node.target) for node in found.graph.nodes if "bn" in str(node.target)]  # type: ignore[union-attr, operator]
        for name, found in copies.items()
    }
    assert calls["resnet18"] == []
    assert all("bn1" in target or target.endswith("bn") for target in calls["preact_resnet18"])
    assert left["preact_resnet18"] > 0


class Shared(nn.Module):
    """One convolution before two batch norms; its output is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second, self.relu = nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(self.conv(x))
        z = self.conv(y)
        return (self.relu(z) + self.second(z) + self.relu(y)).flatten(1)


class Untraceable(Shared):
    """Its path hangs on the pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() > 0 else -super().forward(x)


class Drawing(Shared):
    """It draws a number, of which tracing would make a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * float(torch.randint(1, 1000, ()))


def trained(kind: type[nn.Module], images: Tensor) -> nn.Module:
    with weights_from(0):
        model = kind()
        model(images * 3)
    return model.eval()


def test_what_cannot_be_traced_stays(capsys: pytest.CaptureFixture[str]) -> None:
    images = torch.rand(4, 3, 8, 8, generator=seeded(0))
    for kind in (Shared, Untraceable):
        model = trained(kind, images)
        torch.testing.assert_close(folded(model, images)(images), model(images), rtol=1e-4, atol=1e-5)
    assert "without folding: symbolically traced variables" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="use float32"):
        folded(model, images, torch.bfloat16)


class OneConvolution(nn.Sequential):
    """Between its first convolution and its last lies nothing."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 4))


class Offset(nn.Module):
    """A float32 number of its own enters between the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.offset = nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1), nn.Parameter(torch.ones(2, 8, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x) + self.offset).flatten(1)


@pytest.mark.parametrize("kind", [OneConvolution, Offset, nn.Flatten])
def test_a_model_that_does_not_do_bfloat16_is_refused(kind: type[nn.Module]) -> None:
    images = torch.rand(4, 3, 8, 8, generator=seeded(0))
    model = kind()
    torch.testing.assert_close(folded(model, images)(images), model(images))
    with pytest.raises(ConfigError, match="use float32"):
        folded(model, images, torch.bfloat16)


def test_what_tracing_would_change_stays(capsys: pytest.CaptureFixture[str]) -> None:
    images = torch.rand(4, 3, 8, 8, generator=seeded(0))
    with weights_from(1):  # and the numbers drawn
        copy = folded(trained(Drawing, images), images)
    assert "without folding: its traced copy's logits are" in capsys.readouterr().err
    with torch.no_grad(), weights_from(2):
        assert not torch.allclose(copy(images), copy(images))
