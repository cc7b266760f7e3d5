"""MoCo as its authors' CIFAR demo has it: how weights are drawn, how the learning rate ends."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from stages.core.config.moco import Moco
from stages.features import pretrain
from stages.features.network import initialize_as_demo, moco_encoder
from tests.unit.drawing import noise

ARCHITECTURE: dict[str, Any] = {"backbone": "resnet18", "dim": 8, "head_layers": 1}


def convolutions(network: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]


def test_convolutions_after_the_stem_are_spread_as_those_of_torchvision_s_resnet18() -> None:
    torch.manual_seed(0)
    encoder = moco_encoder(width=64, **ARCHITECTURE)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    initialize_as_demo(encoder)
    theirs: dict[torch.Size, list[float]] = {}
    for _, convolution in convolutions(resnet18(weights=None))[1:]:
        theirs.setdefault(convolution.weight.shape, []).append(float(convolution.weight.detach().std()))
    ours = convolutions(encoder.backbone)
    assert ours[0][0].startswith("stem")
    for _, convolution in ours[1:]:
        spreads = theirs[convolution.weight.shape]
        assert float(convolution.weight.detach().std()) == pytest.approx(sum(spreads) / len(spreads), rel=0.03)
        weight = convolution.weight.detach()
        kurtosis = float(weight.pow(4).mean() / weight.square().mean() ** 2)
        assert kurtosis == pytest.approx(3.0, rel=0.1), "a normal distribution, not PyTorch's uniform one"
    drawn = {f"backbone.{name}.weight" for name, _ in ours[1:]}
    kept = [name for name in before if name not in drawn]
    assert all(torch.equal(before[name], encoder.state_dict()[name]) for name in kept), "stem, batch norms and head"


@pytest.mark.parametrize("initialization", ["pytorch", "torchvision"])
def test_pretraining_begins_with_the_chosen_weights_in_both_encoders(initialization: str) -> None:
    settings = Moco(width=4, dim=8, queue=8, splits=2, batch_size=8, initialization=initialization)
    images = noise(20)
    torch.manual_seed(7)
    state = pretrain.begin(settings, 0, images)
    torch.manual_seed(7)
    expected = moco_encoder(width=4, **ARCHITECTURE)
    if initialization == "torchvision":
        initialize_as_demo(expected)
    for name, value in expected.named_parameters():
        assert torch.equal(state.query.state_dict()[name], value)
        assert torch.equal(state.key.state_dict()[name], value)


def demo_s_rate(lr: float, epoch: int, epochs: int) -> float:
    """adjust_learning_rate of the demo, called with epochs 1, 2, ..., `epochs`."""
    return lr * (0.5 * (1.0 + math.cos(math.pi * epoch / epochs)))


@pytest.mark.parametrize("epochs", [1, 2, 7, 200])
def test_annealing_to_zero_has_the_demo_s_rates_and_otherwise_those_of_an_epoch_earlier(epochs: int) -> None:
    demo, ours = (Moco(epochs=epochs, anneal_to_zero=to_zero) for to_zero in (True, False))
    numbers = range(1, epochs + 1)
    assert [pretrain.learning_rate(demo, n) for n in numbers] == [demo_s_rate(0.06, n, epochs) for n in numbers]
    assert pretrain.learning_rate(demo, epochs) == 0
    assert [pretrain.learning_rate(ours, n) for n in numbers] == [demo_s_rate(0.06, n - 1, epochs) for n in numbers]
    assert pretrain.learning_rate(ours, 1) == 0.06
