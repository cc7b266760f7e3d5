"""Laws of stages.core.images.perturb: the one fixed-step search."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.images.perturb import evaluating, perturb, without_parameter_gradients
from stages.core.images.search import Search, Start
from stages.core.images.threat import Norm, Threat
from tests.unit.drawing import seeded, weights_from


@pytest.fixture
def model() -> nn.Module:
    with weights_from(0):
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.Tanh(),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(256, 5),
        )
    net[1].eval()
    net[0].bias.requires_grad_(False)
    return net


@pytest.fixture
def images() -> Tensor:
    return torch.rand(6, 3, 8, 8, generator=seeded(1))


@pytest.fixture
def labels() -> Tensor:
    return torch.arange(6) % 5


def losses(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with evaluating(model), torch.no_grad():
        return F.cross_entropy(model(images), labels, reduction="none")


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("start", ["none", "uniform", "gaussian"])
def test_perturb_ascends_the_loss_of_every_image(
    model: nn.Module, images: Tensor, labels: Tensor, norm: Norm, start: Start
) -> None:
    threat, search = Threat(norm, 0.05 if norm == "linf" else 0.5), Search(0.02 if norm == "linf" else 0.2, 8, start)
    x_adv = perturb(model, images, lambda z: F.cross_entropy(z, labels, reduction="none"), threat, search, seeded())
    assert bool((losses(model, x_adv, labels) > losses(model, images, labels)).all())
    assert float(threat.size(images, x_adv).max()) <= threat.epsilon + 1e-6
    assert 0 <= float(x_adv.min()) <= float(x_adv.max()) <= 1
    assert not x_adv.requires_grad


def test_more_steps_ascend_further(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    means = [
        losses(
            model,
            perturb(
                model,
                images,
                lambda z: F.cross_entropy(z, labels, reduction="none"),
                Threat("linf", 0.1),
                Search(0.005, steps, "none"),
                seeded(),
            ),
            labels,
        ).mean()
        for steps in (1, 4, 16)
    ]
    assert means[0] < means[1] < means[2]


def test_perturb_solves_a_linear_model_exactly(images: Tensor) -> None:
    weights = torch.randn(192, 2, generator=seeded(2))
    linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 2, bias=False))
    linear[1].weight.data = weights.T.clone()
    threat, search = Threat("linf", 0.03), Search(0.01, 5, "none")
    x_adv = perturb(linear, images, lambda z: z[:, 0] - z[:, 1], threat, search, seeded())
    best = (images + 0.03 * (weights[:, 0] - weights[:, 1]).sign().view(1, 3, 8, 8)).clamp(0, 1)
    torch.testing.assert_close(x_adv, best, rtol=0, atol=1e-6)


def test_perturb_leaves_the_model_as_it_found_it(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    modes = [module.training for module in model.modules()]
    asking = [parameter.requires_grad for parameter in model.parameters()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    random_state, pixels = torch.get_rng_state(), images.clone()
    perturb(
        model,
        images,
        lambda z: F.cross_entropy(z, labels, reduction="none"),
        Threat("linf", 0.05),
        Search(0.02, 3),
        seeded(),
    )
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == asking
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(images, pixels)
    assert not images.requires_grad


def test_perturb_works_inside_no_grad(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    def search() -> Tensor:
        threat, search = Threat("linf", 0.05), Search(0.02, 3)
        return perturb(model, images, lambda z: F.cross_entropy(z, labels, reduction="none"), threat, search, seeded())

    with torch.no_grad():
        inside = search()
    assert torch.equal(inside, search())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_epsilon_zero_returns_the_images_and_draws_nothing(model: nn.Module, images: Tensor, norm: Norm) -> None:
    generator = seeded()
    assert torch.equal(perturb(model, images, lambda z: z[:, 0], Threat(norm, 0.0), Search(0.1, 5), generator), images)
    assert torch.equal(generator.get_state(), seeded().get_state())


def test_an_image_is_perturbed_alike_alone_and_in_a_batch(model: nn.Module, images: Tensor) -> None:
    threat, search = Threat("l2", 0.5), Search(0.1, 5, "none")
    together = perturb(model, images, lambda z: z[:, 0], threat, search, seeded())
    alone = torch.cat([perturb(model, image[None], lambda z: z[:, 0], threat, search, seeded()) for image in images])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_borrowed_modes_and_gradients_come_back_after_an_error(model: nn.Module) -> None:
    modes = [module.training for module in model.modules()]
    asking = [parameter.requires_grad for parameter in model.parameters()]

    def borrow_and_fail() -> None:
        with evaluating(model), without_parameter_gradients(model):
            assert not any(module.training for module in model.modules())
            assert not any(parameter.requires_grad for parameter in model.parameters())
            raise KeyError

    with pytest.raises(KeyError):
        borrow_and_fail()
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == asking
