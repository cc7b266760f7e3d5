"""CUDA tensors that need no GPU: mixed devices raise, and so does reading one on the host.

Autograd's engine wants a real CUDA context for them, so here a gradient is an empty tensor of the input's shape: what
is shown is the forward, and all that is done with a gradient.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda:0")


def there(tensor: Tensor) -> Tensor:
    """An empty one of its shape and type on fake CUDA, in a fake mode."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=CUDA)


def move(network: nn.Module) -> nn.Module:
    """The network on fake CUDA, in a fake mode; `Module.to` swaps tensors, which fake ones do not allow."""
    for module in network.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = nn.Parameter(there(weight), requires_grad=weight.requires_grad)
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else there(buffer)
    return network


class RealCpu(TorchDispatchMode):
    """In a fake mode: what stays on the CPU is real all the same, so that a draw there may decide something."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tree_leaves((args, kwargs or {}))
        devices = [each for each in given if isinstance(each, torch.device)]
        if CUDA in devices or any(isinstance(each, FakeTensor) for each in given):
            return func(*args, **(kwargs or {}))
        with unset_fake_temporarily():
            return func(*args, **(kwargs or {}))


@contextmanager
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """CUDA is there, but its tensors are fake and gradients empty."""

    def grad(loss: Tensor, at: Tensor, create_graph: bool = False) -> tuple[Tensor]:
        assert loss.device == CUDA
        return (there(at).requires_grad_(create_graph),)

    def backward(loss: Tensor) -> None:
        assert loss.device == CUDA
        assert loss.requires_grad

    monkeypatch.setattr(torch.autograd, "grad", grad)
    monkeypatch.setattr(Tensor, "backward", backward)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    with FakeTensorMode(allow_non_fake_inputs=True), RealCpu():
        yield


def with_gradients(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimizer, whose parameters keep the gradients that they are given here."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def give(set_to_none: bool = True) -> None:
        for parameter in parameters:
            parameter.grad = there(parameter)

    optimizer.zero_grad = give  # type: ignore[method-assign]
    return optimizer
