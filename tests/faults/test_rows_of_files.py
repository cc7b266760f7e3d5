"""Faults of single jobs and files: every row holds at the CI's size. test_hostile.py names each hostile file."""

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.long


@pytest.mark.parametrize("row", ["killed", "saving", "resumed", "flipped", "unwritable", "fuzzed"])
def test_the_row_holds(row: str, holds: Callable[[str], None]) -> None:
    holds(row)
