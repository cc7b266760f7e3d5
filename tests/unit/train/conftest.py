"""A folder in which the train stage can be run."""

from pathlib import Path

import pytest

from tests.unit.train.train_command import write_inputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All that any method reads."""
    write_inputs(tmp_path)
    return tmp_path
