"""A table's job starts without what it does not need."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize("module", ["__main__", "comparisons", "claims.__main__", "assumptions", "report.__main__"])
def test_no_table_loads_torch(module: str) -> None:
    script = f"import sys, stages.tables.{module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
