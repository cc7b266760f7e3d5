"""A stage that refuses what it is given says why in one line and ends with status 1."""

from collections.abc import Callable
from typing import Any

import pytest


def refusal(capture: pytest.CaptureFixture[str], stage: Callable[..., object], *words: Any, **named: Any) -> list[str]:
    """The lines that a refusing stage says on stderr, the last of which alone is the error."""
    capture.readouterr()
    with pytest.raises(SystemExit) as ended:
        stage(*words, **named)
    said = capture.readouterr().err.strip().splitlines()
    assert ended.value.code == 1
    assert [line for line in said if line.startswith("error: ")] == said[-1:], said
    return said
