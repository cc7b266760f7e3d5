"""A training run that diverges at a chosen step."""

from typing import Any

import pytest

from stages.train import loop


def diverge_at(patch: pytest.MonkeyPatch, step: int, to: float = float("nan")) -> None:
    """Make the loss of this step of a run, counted from 1, become `to`."""
    original, taken = loop.method_loss, 0

    def diverging(*arguments: Any) -> Any:
        nonlocal taken
        taken += 1
        loss, metrics = original(*arguments)
        return (loss * to if taken == step else loss), metrics

    patch.setattr(loop, "method_loss", diverging)
