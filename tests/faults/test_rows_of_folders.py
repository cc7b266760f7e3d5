"""Faults of several processes on one folder, and of folders that were copied: the row holds at the CI's size."""

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.long


def test_the_row_holds(holds: Callable[[str], None]) -> None:
    holds("shared")
