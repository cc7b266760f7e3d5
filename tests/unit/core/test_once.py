"""A job that is done once: what one process has finished, another that was asked for it before takes."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.core.job.once import SECONDS_TO_NOTE, once
from stages.core.job.stage import Job
from tests.conftest import ROOT
from tests.unit.interrupting import EndOfProcess, end_at

NEVER = float("inf")
NAMES = ("model", "history", "manifest")

# Does the job unless another process has, and says so.
ASKED = """
import sys, time
from pathlib import Path
import torch
from stages.core.job.once import once
from stages.core.job.stage import Job

folder = Path(sys.argv[1])
outputs = {name: folder / "out" / name for name in ("model", "history")}
job = Job(folder / "out" / "manifest", [], {}, {}, outputs, 0, torch.device("cpu"))

def work():
    time.sleep(0.2)
    for path in job.files().values():
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"made by {sys.argv[2]}")
    print("worked", flush=True)

once(job, folder / "resume", 0.0, work)
"""


class Asked:
    """A job that counts how often it is worked on; every time it writes something else."""

    def __init__(self, folder: Path) -> None:
        self.resume, self.times = folder / "resume", 0
        self.outputs = {name: folder / "out" / f"{name}.file" for name in NAMES}

    def work(self) -> None:
        self.times += 1
        for name, path in self.outputs.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{name} {self.times}")

    def ask(self, planned_at: float = 0.0, key: str = "key") -> None:
        once(self.job(key), self.resume, planned_at, self.work)

    def job(self, key: str = "key") -> Job:
        made = {name: path for name, path in self.outputs.items() if name != "manifest"}
        return Job(self.outputs["manifest"], [], {"key": key}, {}, made, 0, torch.device("cpu"))

    def read(self) -> list[str]:
        return [path.read_text() for path in self.outputs.values()]


@pytest.fixture
def job(tmp_path: Path) -> Asked:
    """A job that was done once."""
    job = Asked(tmp_path)
    job.ask()
    assert job.times == 1
    return job


def delete(outputs: dict[str, Path]) -> None:
    """What Snakemake does before it runs a job."""
    for path in outputs.values():
        path.unlink()


@pytest.mark.parametrize("deleted", [True, False])
@pytest.mark.parametrize("seconds", [-60, SECONDS_TO_NOTE / 2])
def test_a_job_asked_for_before_its_end_can_have_been_noted_is_not_done_again_and_its_outputs_come_back(
    job: Asked, seconds: float, deleted: bool
) -> None:
    if deleted:
        delete(job.outputs)
    job.ask(planned_at=time.time() + seconds)
    assert (job.times, job.read()) == (1, [f"{name} 1" for name in NAMES])


@pytest.mark.parametrize("planned_at", [time.time() + 3600, NEVER], ids=["in an hour", "never"])
def test_a_job_asked_for_after_it_was_finished_is_done_again_and_then_taken_anew(job: Asked, planned_at: float) -> None:
    job.ask(planned_at)
    assert (job.times, job.read()) == (2, [f"{name} 2" for name in NAMES])
    delete(job.outputs)
    job.ask()
    assert (job.times, job.read()) == (2, [f"{name} 2" for name in NAMES])


def without_a_key(record: Path) -> None:
    record.write_text(json.dumps({"finished_at": time.time(), "outputs": {}}))


def without_an_output(record: Path) -> None:
    whole = json.loads(record.read_text())
    del whole["outputs"]["history"]
    record.write_text(json.dumps(whole))


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "no folder": lambda record: shutil.rmtree(record.parent),
    "no record": Path.unlink,
    "an empty record": lambda record: record.write_text(""),
    "a record of another kind": lambda record: record.write_text("null"),
    "a record without a key": without_a_key,
    "a record without an output": without_an_output,
    "an output missing": lambda record: (record.parent / "history").unlink(),
    "an output altered": lambda record: (record.parent / "history").write_text("history 7"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_outputs_that_are_not_as_they_were_finished_are_made_again(job: Asked, name: str) -> None:
    DAMAGE[name](job.resume / "finished" / "record.json")
    job.ask()
    assert (job.times, job.read()) == (2, [f"{name} 2" for name in NAMES])


def test_outputs_of_other_settings_inputs_or_code_are_never_taken(job: Asked) -> None:
    job.ask(key="another")
    assert job.times == 2


def test_finished_outputs_outlive_a_change_of_the_files_that_replace_them(job: Asked) -> None:
    for path in job.outputs.values():
        path.with_suffix(".new").write_text("another")
        path.with_suffix(".new").replace(path)
    job.ask()
    assert (job.times, job.read()) == (1, [f"{name} 1" for name in NAMES])


@pytest.mark.parametrize("call", [1, 2, 3])
def test_outputs_are_taken_in_their_order_so_that_the_manifest_comes_last(
    job: Asked, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(job.outputs)
    end_at(monkeypatch, os, "link", call)
    with pytest.raises(EndOfProcess):
        job.ask()
    assert [path.name for path in sorted(job.outputs["model"].parent.iterdir())] == sorted(
        f"{name}.file" for name in NAMES[: call - 1]
    )


def test_outputs_that_are_there_are_never_missing_while_they_are_taken(
    job: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another job's main process may be looking at them."""
    link, there = os.link, []

    def watched(source: Path, target: Path) -> None:
        there.append([path.exists() for path in job.outputs.values()])
        link(source, target)

    monkeypatch.setattr(os, "link", watched)
    job.ask()
    assert (job.times, there) == (1, [[True] * 3] * 3)


def no_links(source: Path, target: Path) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_on_a_file_system_without_links_outputs_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    job = Asked(tmp_path)
    job.ask()
    delete(job.outputs)
    job.ask()
    assert (job.times, job.read()) == (1, [f"{name} 1" for name in NAMES])


def test_a_copy_that_is_cut_leaves_no_half_output(job: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(source: Path, target: Path) -> None:
        Path(target).write_bytes(source.read_bytes()[:3])
        raise EndOfProcess

    delete(job.outputs)
    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(shutil, "copyfile", cut)
    with pytest.raises(EndOfProcess):
        job.ask()
    assert not list(job.outputs["model"].parent.iterdir())


@pytest.mark.parametrize("taken", [True, False])
def test_saved_states_are_gone_at_the_end(job: Asked, taken: bool) -> None:
    for name in ("state.pt", "attack-pgd.pt", ".state.pt.half"):
        (job.resume / name).write_text("")
    job.ask(0.0 if taken else NEVER)
    assert job.times == (1 if taken else 2)
    assert [path.name for path in job.resume.iterdir()] == ["finished"]


def test_an_error_keeps_the_saved_state_and_nothing_counts_as_finished(tmp_path: Path) -> None:
    job = Asked(tmp_path)
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "state.pt").write_text("saved")

    def failing() -> None:
        job.work()
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        once(job.job(), job.resume, 0.0, failing)
    assert [path.name for path in job.resume.iterdir()] == ["state.pt"]
    job.ask()
    assert job.times == 2


@pytest.mark.slow
def test_of_processes_asked_for_the_same_job_one_works_and_all_end_with_its_outputs(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([sys.executable, "-c", ASKED, str(tmp_path), name], cwd=ROOT, stdout=pipe, stderr=pipe)
        for name in "abc"
    ]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    worked = [name for name, (out, _) in zip("abc", said, strict=True) if out == b"worked\n"]
    assert len(worked) == 1
    assert {path.read_text() for path in (tmp_path / "out").iterdir()} == {f"made by {worked[0]}"}
