"""What a third-party attack may touch: a model it cannot switch, and random states that are given back."""

import contextlib
import random
import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from stages.attack.audit import require_eval_mode
from stages.core.errors import ConfigError
from stages.core.images.perturb import evaluating, without_parameter_gradients

NORMS = {"linf": "Linf", "l2": "L2"}


class Frozen(nn.Module):
    """A model in eval mode that stays there: train() and eval() change nothing.

    torchattacks restores the mode it reads off the outermost module by train(), which reaches every submodule.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)

    def train(self, mode: bool = True) -> "Frozen":
        """Nothing changes, whatever is asked."""
        return self


@contextlib.contextmanager
def as_library_sees(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the model frozen, in eval mode and without parameter gradients; then give everything back.

    Given back are each submodule's mode, the parameters' wish for gradients, the global random states of Python,
    NumPy and torch, which libraries seed, and the trace function, which AutoAttack's checks clear. Raises
    AuditError if a submodule was switched to train mode all the same.
    """
    python_state, numpy_state, tracer = random.getstate(), np.random.get_state(), sys.gettrace()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with (
        evaluating(model),
        without_parameter_gradients(model),
        torch.random.fork_rng(devices=devices, device_type="cuda"),
    ):
        try:
            yield Frozen(model)
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
            sys.settrace(tracer)
        require_eval_mode(model, "a library's attack")


def draw_seed(generator: torch.Generator) -> int:
    """A seed in [0, 2^31) for a library that seeds the global streams."""
    return int(torch.randint(2**31, (), generator=generator, device=generator.device))


def require_targets(model: nn.Module, images: Tensor, least: int) -> int:
    """The number of classes an image can be mistaken for, K - 1; ConfigError below `least` classes."""
    with torch.no_grad():
        classes = model(images[:1]).shape[1]
    if classes < least:
        raise ConfigError(
            f"AutoAttack's targeted DLR loss needs {least} classes or more and the model has {classes}; "
            "use pgd and margin-pgd with restarts"
        )
    return classes - 1
