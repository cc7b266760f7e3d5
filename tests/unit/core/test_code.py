"""The code digest: blind to wording, alert to meaning, and to nothing outside a module's import closure."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.core import code
from stages.core.code import ROOT, code_digest

TRAIN = ["stages.train.__main__", "stages.train.objectives.ce", "stages.train.augmentations.none"]
SOURCE = '''"""A module."""

from stages.other import LIMIT

RATE = 0.5
"""What the rate is."""


def double(x):
    """Twice x."""
    return 2 * x + LIMIT
'''


class Project:
    """A copy of some code whose digest can be taken after each edit."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def digest(self, modules: list[str]) -> str:
        code._read.cache_clear()
        return code_digest(modules)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(code, "ROOT", tmp_path)
    made = Project(tmp_path)
    made.write("stages/__init__.py", "")
    made.write("stages/module.py", SOURCE)
    made.write("stages/other.py", "LIMIT = 1\n")
    made.write("stages/core/errors.py", "class Fault(Exception): ...\n")
    yield made
    code._read.cache_clear()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""\n', ""),
        ('"""Twice x."""', '"""Double\n\n    of it."""'),
        ('    """Twice x."""\n', ""),
        ('"""What the rate is."""\n', ""),
        ("RATE = 0.5", "RATE = (0.5)  # a half"),
        ("2 * x + LIMIT", "(2*x) +  LIMIT"),
    ],
)
def test_comments_docstrings_and_formatting_leave_the_digest(project: Project, old: str, new: str) -> None:
    before = project.digest(["stages.module"])
    assert SOURCE.count(old) == 1
    project.write("stages/module.py", SOURCE.replace(old, new))
    assert project.digest(["stages.module"]) == before


@pytest.mark.parametrize(
    ("old", "new"), [("2 * x", "3 * x"), ("RATE = 0.5", "RATE = 0.6"), ("def double(x)", "def double(x, y=0)")]
)
def test_code_changes_the_digest(project: Project, old: str, new: str) -> None:
    before = project.digest(["stages.module"])
    project.write("stages/module.py", SOURCE.replace(old, new))
    assert project.digest(["stages.module"]) != before


def test_what_is_imported_counts_and_what_is_not_does_not(project: Project) -> None:
    before = project.digest(["stages.module"])
    project.write("stages/stranger.py", "X = 1\n")
    assert project.digest(["stages.module"]) == before
    project.write("stages/other.py", "LIMIT = 2\n")
    changed = project.digest(["stages.module"])
    assert changed != before
    project.write("stages/other.py", "LIMIT = 1\n")
    assert project.digest(["stages.module"]) == before


def test_an_import_inside_a_function_counts(project: Project) -> None:
    project.write("stages/module.py", "def late():\n    from stages import other\n    return other.LIMIT\n")
    before = project.digest(["stages.module"])
    project.write("stages/other.py", "LIMIT = 2\n")
    assert project.digest(["stages.module"]) != before


def test_modules_that_only_word_errors_do_not_count(project: Project) -> None:
    project.write("stages/module.py", "from stages.core.errors import Fault\n")
    before = project.digest(["stages.module"])
    project.write("stages/core/errors.py", "class Fault(ValueError): ...\n")
    assert project.digest(["stages.module"]) == before


def test_the_order_of_modules_does_not_count_and_an_unknown_one_is_an_error(project: Project) -> None:
    assert project.digest(["stages.module", "stages.other"]) == project.digest(["stages.other", "stages.module"])
    with pytest.raises(ModuleNotFoundError, match=r"stages\.nowhere"):
        project.digest(["stages.nowhere"])


def test_a_new_objective_leaves_the_digest_of_training_and_a_changed_one_only_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "ROOT", tmp_path)
    project, trades = Project(tmp_path), ["stages.train.__main__", "stages.train.objectives.trades"]
    before, before_trades = project.digest(TRAIN), project.digest(trades)
    project.write("stages/train/objectives/newest.py", "def newest(model, batch, context): ...\n")
    assert project.digest(TRAIN) == before
    path = tmp_path / "stages/train/objectives/trades.py"
    path.write_text(path.read_text().replace("natural + beta", "natural - beta"))
    assert project.digest(TRAIN) == before
    assert project.digest(trades) != before_trades
    loop = tmp_path / "stages/train/loop.py"
    loop.write_text(loop.read_text().replace("MEASUREMENT_SEED = 0", "MEASUREMENT_SEED = 1"))
    assert project.digest(TRAIN) != before
    code._read.cache_clear()
