"""The one fixed-step projected gradient search (Madry et al., 2018), used by training and by attacks."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from stages.core.images.search import Search
from stages.core.images.threat import Threat

PerExampleLoss = Callable[[Tensor], Tensor]


@runtime_checkable
class Searchable(Protocol):
    """A model that has another network to search with: the same function in eval mode, computed faster."""

    def to_search(self) -> nn.Module:
        """That network, as the model is at this moment."""


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Every submodule in eval mode, and afterwards each back in the mode it had."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextlib.contextmanager
def without_parameter_gradients(model: nn.Module) -> Iterator[None]:
    """No parameter asks for a gradient, and afterwards each asks again that did."""
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in asking:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)


@contextlib.contextmanager
def searching(model: nn.Module) -> Iterator[nn.Module]:
    """What to search the model with, itself or its own choice, in eval mode and asking for no parameter gradients."""
    network = model.to_search() if isinstance(model, Searchable) else model
    with evaluating(network), without_parameter_gradients(network):
        yield network


def perturb(
    model: nn.Module,
    images: Tensor,
    per_example_loss: PerExampleLoss,
    threat: Threat,
    search: Search,
    generator: torch.Generator,
) -> Tensor:
    """Adversarial images that ascend `per_example_loss` inside the threat's ball and the box [0, 1].

    images: (B, C, H, W) in [0, 1]; per_example_loss: logits (B, K) -> (B,). The model runs in eval mode
    and is given back as it was found; images with epsilon 0 come back unchanged.
    """
    if threat.epsilon == 0:
        return images.clone()
    x_adv = search.begin(threat, images, generator)
    with searching(model) as network, torch.enable_grad():
        for _ in range(search.steps):
            x_adv.requires_grad_(True)
            (gradient,) = torch.autograd.grad(per_example_loss(network(x_adv)).sum(), x_adv)
            x_adv = search.step(threat, images, x_adv.detach(), gradient)
    return x_adv
