"""An iteration of an attack reads nothing on the host and mixes no devices, on fake CUDA tensors (`fake`)."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException

from stages.attack.attacks.autoattack_engine import ensemble
from stages.attack.engine.points import Points
from stages.core.images.perturb import perturb
from stages.core.images.search import Search
from stages.core.images.threat import Norm, Threat
from stages.core.models import Classifier
from stages.core.models.folding import folded
from tests.fakecuda.fake import CUDA, fake_cuda, move

ATTACKS = {attack.name: attack for classes in (3, 10) for attack in ensemble(0, classes)}


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[torch.dtype, nn.Module]]:
    """Networks to search with, by precision, on fake CUDA, and the test in fake mode."""
    classifier = Classifier("resnet18", width=2, classes=10).eval()
    images = torch.rand(4, 3, 8, 8)
    found = {precision: folded(classifier, images, precision) for precision in (torch.float32, torch.bfloat16)}
    with fake_cuda(monkeypatch):
        yield {precision: move(network) for precision, network in found.items()}


def points(network: nn.Module) -> Points:
    images = torch.rand(4, 3, 8, 8, device=CUDA)
    labels = torch.zeros(4, dtype=torch.int64, device=CUDA)
    targets = torch.ones(4, 9, dtype=torch.int64, device=CUDA)
    ranks = torch.arange(4, device=CUDA)
    return Points(network, images, labels, torch.arange(4, device=CUDA), targets, ranks, 8 / 255)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_an_iteration_of_each_attack(networks: dict[torch.dtype, nn.Module], name: str, precision: torch.dtype) -> None:
    attack, given = ATTACKS[name], points(networks[precision])
    state = attack.begin(given)
    for iteration in (0, 1, 21):
        attack.advance(given, state, range(iteration, iteration + 1))
    assert {value.device for value in state.values()} == {CUDA}
    assert {len(value) for value in state.values()} == {4}


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_perturb(networks: dict[torch.dtype, nn.Module], norm: Norm) -> None:
    given = points(networks[torch.float32])
    search = Search(0.01, 3, "none")
    x_adv = perturb(
        given.network,
        given.images,
        lambda logits: F.cross_entropy(logits, given.labels, reduction="none"),
        Threat(norm, 0.03),
        search,
        None,  # type: ignore[arg-type] # a start from the image draws nothing
    )
    assert x_adv.device == CUDA


@pytest.mark.usefixtures("networks")
def test_these_tensors_do_refuse_what_they_should() -> None:
    images = torch.rand(4, device=CUDA)
    with pytest.raises(DataDependentOutputException):
        bool(images.sum() > 0)
    with pytest.raises(RuntimeError, match="device"):
        images + torch.rand(4)
