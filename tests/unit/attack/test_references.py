"""Our attacks against torchattacks' from the same start, and where CW must differ."""

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from stages.attack.attacks.cw import cw
from stages.attack.attacks.fgsm import fgsm
from stages.attack.attacks.pgd import pgd
from stages.core.images.threat import Threat
from tests.unit.drawing import weights_from


class Shifted(nn.Module):
    """A model with a constant added to all its logits: the same softmax."""

    def __init__(self, model: nn.Module, shift: float) -> None:
        super().__init__()
        self.model, self.shift = model, shift

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images) + self.shift


@pytest.fixture
def model() -> nn.Module:
    with weights_from(3):
        first, last = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(256, 10)
        net = nn.Sequential(first, nn.BatchNorm2d(4), nn.Softplus(), nn.Flatten(), last)
        net(torch.rand(64, 3, 8, 8))
        last.weight.data.mul_(6)
    return net.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.05


@pytest.fixture
def labels(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images).argmax(1)


def twin_of_the_global_stream() -> torch.Generator:
    """A generator in the state that torch's global stream is in."""
    twin = torch.Generator()
    twin.set_state(torch.get_rng_state())
    return twin


def solve(model: nn.Module, images: Tensor, labels: Tensor, **options: float) -> Tensor:
    return cw(model, images, labels, Threat("l2", 0.0), torch.Generator(), **options)  # type: ignore[arg-type]


def fooled(model: nn.Module, x_adv: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x_adv).argmax(1) != labels


def test_fgsm_equals_torchattacks(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    ours = fgsm(model, images, labels, Threat("linf", 8 / 255), torch.Generator())
    theirs = torchattacks.FGSM(model, eps=8 / 255)(images, labels)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("random_start", [True, False])
def test_linf_pgd_equals_torchattacks_from_the_same_start(
    model: nn.Module, images: Tensor, labels: Tensor, random_start: bool
) -> None:
    twin = twin_of_the_global_stream()
    theirs = torchattacks.PGD(model, eps=8 / 255, alpha=2 / 255, steps=10, random_start=random_start)(images, labels)
    ours = pgd(model, images, labels, Threat("linf", 8 / 255), twin, random_start=random_start)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("random_start", [True, False])
def test_l2_pgd_equals_torchattacks_from_the_same_start(
    model: nn.Module, images: Tensor, labels: Tensor, random_start: bool
) -> None:
    twin = twin_of_the_global_stream()
    theirs = torchattacks.PGDL2(model, eps=128 / 255, alpha=0.2, steps=10, random_start=random_start)(images, labels)
    threat = Threat("l2", 128 / 255)
    ours = pgd(model, images, labels, threat, twin, step_size=0.2, steps=10, random_start=random_start)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_cw_finds_what_torchattacks_finds_where_its_traps_stay_shut(
    model: nn.Module, images: Tensor, labels: Tensor
) -> None:
    """One image a batch, all other logits above 0, no saturated pixel: only the early stop is left."""
    raised = Shifted(model, 100.0)
    tried = 0
    for image, label in zip(images.split(1), labels.split(1), strict=True):
        theirs = torchattacks.CW(raised, c=1, steps=50, lr=0.01)(image, label)
        ours = solve(raised, image, label, c=1.0)
        if bool(fooled(raised, theirs, label)):
            tried += 1
            assert bool(fooled(raised, ours, label))
            assert float((ours - image).norm()) <= 1.01 * float((theirs - image).norm())
    assert tried > 10


def test_cw_does_not_depend_on_a_constant_added_to_the_logits(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    plain = solve(model, images, labels, c=0.5, steps=25)
    verdicts = fooled(model, plain, labels)
    assert bool(verdicts.any())
    for shift in (-64.0, 64.0):
        shifted = solve(Shifted(model, shift), images, labels, c=0.5, steps=25)
        assert torch.equal(fooled(model, shifted, labels), verdicts)
        torch.testing.assert_close(shifted, plain, rtol=0, atol=1e-3)


def test_cw_does_not_depend_on_the_batch_an_image_is_in(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    together = solve(model, images, labels, c=0.5, steps=25)
    alone = torch.cat(
        [solve(model, i, y, c=0.5, steps=25) for i, y in zip(images.split(3), labels.split(3), strict=True)]
    )
    assert torch.equal(fooled(model, together, labels), fooled(model, alone, labels))
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)


def test_cw_moves_saturated_pixels_and_torchattacks_does_not(model: nn.Module) -> None:
    images = (torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    with torch.no_grad():
        labels = model(images).argmax(1)
    theirs = torchattacks.CW(model, c=10, steps=60, lr=0.1)(images, labels)
    assert torch.equal(theirs, images)
    assert bool(fooled(model, solve(model, images, labels, c=10.0, steps=60, lr=0.1), labels).all())


def test_cw_keeps_a_smaller_image_the_longer_it_searches(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    sizes = []
    for steps in (20, 40, 80):
        x_adv = solve(model, images, labels, c=5.0, steps=steps)
        assert bool(fooled(model, x_adv, labels).all())
        sizes.append((x_adv - images).flatten(1).norm(dim=1))
    assert bool((sizes[0] >= sizes[1]).all())
    assert bool((sizes[1] >= sizes[2]).all())
    assert float(sizes[2].mean()) < float(sizes[0].mean())


def test_cw_with_kappa_is_misclassified_by_at_least_kappa(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    x_adv = solve(model, images, labels, c=5.0, kappa=2.0, steps=80)
    moved = (x_adv != images).flatten(1).any(1)
    with torch.no_grad():
        logits = model(x_adv)
    true = logits.gather(1, labels[:, None]).squeeze(1)
    assert bool(moved.any())
    assert float((logits.amax(1) - true)[moved].min()) >= 2.0 - 1e-4


def test_cw_returns_the_image_where_it_fails(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    assert torch.equal(solve(model, images, labels, c=0.0, steps=5), images)
