"""A row of the suite as a test."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, Project, made_once
from tests.faults.world import World


@pytest.fixture(scope="session")
def whole(finished: Project, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The world of all rows, its experiment finished; only to be read."""

    def make(folder: Path) -> None:
        assert World(folder, finished).project.root.is_dir()

    return made_once(tmp_path_factory, worker_id, "faults", make)


@pytest.fixture
def holds(whole: Path) -> Iterator[Callable[[str], None]]:
    """Makes a row at the CI's size in a process of its own, as it forks.

    Its world lies outside of pytest's folders, which are closed to other users.
    """
    with tempfile.TemporaryDirectory(prefix="faults-") as root:
        shutil.copytree(whole, root, symlinks=True, dirs_exist_ok=True)

        def made(row: str) -> None:
            words = [sys.executable, "-m", "tests.faults", "--only", row, "--world", root]
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            if not re.search(rf"^{row}: [1-9][\d,]* of ", done.stderr, re.MULTILINE):
                pytest.skip("; ".join(re.findall(r"^skipped, .*", done.stdout, re.MULTILINE)))

        yield made
