"""Temporary files: those of killed processes go, those that are written stay."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages.core.files import atomic, write_text
from stages.core.leftovers import OLD, sweep, sweep_below
from tests.conftest import ROOT

KILLED = """
import os, signal, sys
from pathlib import Path
from stages.core.files import atomic

with atomic(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_while_it_wrote(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_a_killed_process_left_of_a_file_goes_and_nothing_else(tmp_path: Path) -> None:
    others = {"model.bin.part", ".model.bin", ".model.bin.short", ".other.bin.abcd1234", ".model.bin.ABCD1234"}
    for name in others:
        (tmp_path / name).write_text("mine")
    killed_while_it_wrote(tmp_path / "model.bin")
    assert len(names(tmp_path)) == len(others) + 1
    sweep([tmp_path / "model.bin", tmp_path / "history.bin", tmp_path / "nowhere/else.bin"])
    assert names(tmp_path) == others


def test_what_a_living_process_writes_stays(tmp_path: Path) -> None:
    with atomic(tmp_path / "model.bin") as temporary:
        temporary.write_text("half")
        sweep([tmp_path / "model.bin"])
        assert sweep_below(tmp_path) == []
        assert temporary.read_text() == "half"
    assert names(tmp_path) == {"model.bin"}
    write_text(tmp_path / "model.bin", "again")
    assert (tmp_path / "model.bin").read_text() == "again"


def test_where_there_are_no_locks_age_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    young, old = tmp_path / ".model.bin.abcd1234", tmp_path / ".model.bin.abcd1235"
    for path in (young, old):
        path.write_text("half")
    os.utime(old, (old.stat().st_mtime - OLD - 60,) * 2)
    monkeypatch.setattr(fcntl, "flock", without_locks)
    sweep([tmp_path / "model.bin"])
    assert names(tmp_path) == {young.name}
    write_text(tmp_path / "model.bin", "whole")
    assert (tmp_path / "model.bin").read_text() == "whole"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_clean_removes_them_wherever_they_lie_below_results_and_nothing_else_there(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "Makefile", tmp_path)
    for folder in ("workflow", "tests", "results/train/run"):
        (tmp_path / folder).mkdir(parents=True)
    killed_while_it_wrote(tmp_path / "results/train/run/model.bin")
    (tmp_path / "results/train/run/history.bin").write_text("whole")
    (tmp_path / "results/train/.hidden").write_text("mine")
    done = subprocess.run(["make", "clean", f"PYTHON={sys.executable}"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    left = {str(path.relative_to(tmp_path)) for path in (tmp_path / "results").rglob("*") if path.is_file()}
    assert left == {"results/train/run/history.bin", "results/train/.hidden"}
