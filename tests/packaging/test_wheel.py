"""The pieces as a library: `stages` imports, its files beside it, from a wheel and from an editable install alike."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

WITHOUT_DEPENDENCIES = ("--quiet", "--offline", "--no-deps", "--no-build-isolation")
USE = """
import site, sys
site.addsitedir(sys.argv[1])
import stages
from stages.core.code import code_digest
from stages.core.config.plugins import resolve, Plugin
from stages.tables.assumptions import read_catalog
from stages.tables.paper import read_paper
from stages.train.objectives.trades import trades
print(stages.__path__[0])
assert trades.__name__ == "trades"
assert resolve("objectives", Plugin(name="trades")).settings["beta"] == 6
assert read_catalog() and read_paper()
assert code_digest(["stages.train.loop"])
"""


def uv(*words: str, folder: Path) -> None:
    uv_file = Path(sys.executable).with_name("uv")
    done = subprocess.run([uv_file, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def used_from(target: Path, elsewhere: Path) -> Path:
    """Where `stages` was imported from by a process that stands elsewhere and is told of `target` alone."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", USE, str(target)],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The files a wheel is made of, elsewhere, for setuptools builds beside them."""
    folder = tmp_path / "source"
    for part in ("stages", "workflow"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, folder)
    return folder


@pytest.mark.slow
def test_a_wheel_holds_all_of_stages_and_nothing_else_that_is_importable(source: Path, tmp_path: Path) -> None:
    uv("build", "--quiet", "--offline", "--wheel", "--no-build-isolation", "--out-dir", str(tmp_path), folder=source)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    kept = {str(path.relative_to(source)) for path in (source / "stages").rglob("*") if path.is_file()}
    assert packed == kept
    uv("pip", "install", *WITHOUT_DEPENDENCIES, "--target", str(tmp_path / "there"), str(wheel), folder=tmp_path)
    assert used_from(tmp_path / "there", tmp_path) == tmp_path / "there/stages"


@pytest.mark.slow
def test_an_editable_install_is_the_checkout_itself(source: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    uv("pip", "install", *WITHOUT_DEPENDENCIES, "--target", str(there), "--editable", str(source), folder=tmp_path)
    assert used_from(there, tmp_path) == source / "stages"
