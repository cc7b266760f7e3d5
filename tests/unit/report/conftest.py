"""Outcomes that the tests of several tables read."""

from pathlib import Path

import pytest

from tests.unit.tables.small_tables import first, write_verdicts


@pytest.fixture
def two_runs(tmp_path: Path) -> Path:
    """Runs a and b: 90 and 94 of 100 images right when clean, 40 and 50 under PGD."""
    write_verdicts(tmp_path / "attack/a.parquet", {"clean-1a2b": first(90, 100), "pgd-1a2b": first(40, 100)})
    write_verdicts(tmp_path / "attack/b.parquet", {"clean-1a2b": first(94, 100), "pgd-1a2b": first(50, 100)})
    return tmp_path
