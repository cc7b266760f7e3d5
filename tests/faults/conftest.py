"""A row of the suite as a test."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, Project
from tests.faults.world import World


@pytest.fixture(scope="module")
def holds(finished: Project) -> Iterator[Callable[[str], None]]:
    """Makes a row at the CI's size, in a process of its own as it forks, on an experiment that a file's rows share.

    That lies outside of pytest's folders, which are closed to other users.
    """
    with tempfile.TemporaryDirectory(prefix="faults-") as root:
        assert World(Path(root), finished).project.root.is_dir()

        def made(row: str) -> None:
            words = [sys.executable, "-m", "tests.faults", "--only", row, "--world", root]
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr

        yield made
