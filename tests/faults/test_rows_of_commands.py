"""Faults of whole commands: the row holds at the CI's size."""

from collections.abc import Callable


def test_the_row_holds(holds: Callable[[str], None]) -> None:
    holds("commands")
