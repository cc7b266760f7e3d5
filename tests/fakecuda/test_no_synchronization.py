"""On fake CUDA tensors, which need no GPU: an iteration reads nothing on the host and mixes no devices.

Autograd's engine wants a real CUDA context for them, so a gradient is an empty tensor of the input's shape: what is
shown here is the forward and all that the attacks do themselves.
"""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from stages.attack.attacks.autoattack_engine import ensemble
from stages.attack.engine.points import Points
from stages.core.images.perturb import perturb
from stages.core.images.search import Search
from stages.core.images.threat import Norm, Threat
from stages.core.models import Classifier
from stages.core.models.folding import folded

CUDA = torch.device("cuda:0")
ATTACKS = {attack.name: attack for classes in (3, 10) for attack in ensemble(0, classes)}


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[torch.dtype, nn.Module]]:
    """Networks to search with, by precision, on fake CUDA, and the test in fake mode.

    `Module.to` swaps tensors, which fake ones do not allow; so every tensor is replaced by one of its shape.
    """
    classifier = Classifier("resnet18", width=2, classes=10).eval()
    images = torch.rand(4, 3, 8, 8)
    found = {precision: folded(classifier, images, precision) for precision in (torch.float32, torch.bfloat16)}
    monkeypatch.setattr(torch.autograd, "grad", lambda loss, at: (there(at),) if loss.device == CUDA else None)
    with FakeTensorMode():
        for module in (module for network in found.values() for module in network.modules()):
            for name, weight in module._parameters.items():
                if weight is not None:
                    module._parameters[name] = nn.Parameter(there(weight), requires_grad=False)
            for name, buffer in module._buffers.items():
                module._buffers[name] = None if buffer is None else there(buffer)
        yield found


def there(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=CUDA)


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
        attack.advance(given, state, iteration)
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
