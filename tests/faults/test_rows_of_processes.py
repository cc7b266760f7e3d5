"""Faults of whole commands and of several at once: every row holds at the CI's size."""

from collections.abc import Callable

import pytest


@pytest.mark.parametrize("row", ["commands", "shared"])
def test_the_row_holds(row: str, holds: Callable[[str], None]) -> None:
    holds(row)
