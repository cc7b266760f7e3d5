"""The one fixed-step projected gradient search (Madry et al., 2018), used by training and by attacks."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from stages.core.images.search import Search
from stages.core.images.threat import Threat

PerExampleLoss = Callable[[Tensor], Tensor]


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
    with evaluating(model), without_parameter_gradients(model), torch.enable_grad():
        for _ in range(search.steps):
            x_adv.requires_grad_(True)
            (gradient,) = torch.autograd.grad(per_example_loss(model(x_adv)).sum(), x_adv)
            x_adv = search.step(threat, images, x_adv.detach(), gradient)
    return x_adv
