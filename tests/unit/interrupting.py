"""Interruptions at chosen moments, and what they leave in a saved state."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
import torch

from stages.core.job.interrupt import Interrupted, interruptible


class EndOfProcess(BaseException):
    """Stands for a kill -9: nothing is done about it."""


def signal_at(patch: pytest.MonkeyPatch, owner: Any, name: str, call: int) -> None:
    """Make the call of this number, counted from 1, send SIGTERM to this process when its work is done."""
    original, made = getattr(owner, name), 0

    def signalling(*arguments: Any, **named: Any) -> Any:
        nonlocal made
        made += 1
        result = original(*arguments, **named)
        if made == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    patch.setattr(owner, name, signalling)


def end_at(patch: pytest.MonkeyPatch, owner: Any, name: str, call: int) -> None:
    """Make the call of this number end everything."""
    original, made = getattr(owner, name), 0

    def ending(*arguments: Any, **named: Any) -> Any:
        nonlocal made
        made += 1
        if made == call:
            raise EndOfProcess
        return original(*arguments, **named)

    patch.setattr(owner, name, ending)


@contextlib.contextmanager
def interrupted_at(owner: Any, name: str, call: int) -> Iterator[None]:
    """The block must end with Interrupted, because SIGTERM came in the call of this number."""
    with pytest.MonkeyPatch.context() as patch, interruptible():
        signal_at(patch, owner, name, call)
        with pytest.raises(Interrupted, match="SIGTERM"):
            yield


@contextlib.contextmanager
def signal_at_line(number: int, *modules: ModuleType) -> Iterator[list[str]]:
    """Send SIGTERM to this process before the line of this number, counted from 1, that runs in one of the modules.

    Yields the lines that ran, as file:line.
    """
    files = {module.__file__ for module in modules}
    lines: list[str] = []

    def watch(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            lines.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
            if len(lines) == number:
                os.kill(os.getpid(), signal.SIGTERM)
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        yield lines
    finally:
        sys.settrace(before)


def saved(path: Path) -> dict[str, Any]:
    """What a state file holds."""
    state: dict[str, Any] = torch.load(path, weights_only=True)["state"]
    return state


def place(path: Path) -> tuple[int, int]:
    """(finished epochs, steps of the next one) of a saved state."""
    state = saved(path)
    return state["epoch"], state["current_epoch"]["step"] if state["current_epoch"] else 0


def plain(value: Any) -> Any:
    """Tensors as lists, nan as a word, and without the time it took, so that results can be compared."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key != "seconds"}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, torch.Tensor):
        return value.tolist()
    return "nan" if value != value else value
