"""How a rule's command starts: in the job's own process, with a log for every attempt."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT

SAY = "import sys; print(sys.argv[1:]); print('to stderr', file=sys.stderr)"
WAIT_FOR_SIGTERM = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("ready", os.getpid(), flush=True)
signal.pause()
"""


def start(log: Path, *command: str, **variables: str) -> subprocess.Popen[str]:
    """Start a Python command as a rule does; of schedulers it knows what `variables` say."""
    inherited = {key: value for key, value in os.environ.items() if not re.match("SLURM|CUDA_|LSP_|OMP_", key)}
    launch = ["workflow.launch.job", "--log", str(log), "--gpu", "1", "--jobs-per-gpu", "1", "--", sys.executable, "-c"]
    return subprocess.Popen(
        [sys.executable, "-m", *launch, *command],
        cwd=ROOT,
        env={**inherited, "PATH": "", **variables},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def first_line(log: Path, **variables: str) -> str:
    assert start(log, SAY, **variables).wait(60) == 0
    return log.read_text().splitlines()[0]


@pytest.mark.parametrize("status", [0, 1, 75])
def test_the_status_is_the_commands_own(status: int, tmp_path: Path) -> None:
    assert start(tmp_path / "log", f"import sys; sys.exit({status})").wait(60) == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGTERM])
def test_a_signal_that_ends_the_command_ends_the_job(number: signal.Signals, tmp_path: Path) -> None:
    assert start(tmp_path / "log", f"import os; os.kill(os.getpid(), {int(number)})").wait(60) == -number


def test_the_command_is_the_jobs_process_and_gets_its_signals(tmp_path: Path) -> None:
    job = start(tmp_path / "log", WAIT_FOR_SIGTERM)
    end = time.monotonic() + 60
    while not (tmp_path / "log").exists() or "ready" not in (tmp_path / "log").read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert f"ready {job.pid}\n" in (tmp_path / "log").read_text()
    job.send_signal(signal.SIGTERM)
    assert job.wait(60) == 75


def test_arguments_reach_the_command_as_they_are_and_all_it_says_goes_to_the_log(tmp_path: Path) -> None:
    words = ["--log", "--", "", "a b", "--gpu=3"]
    job = start(tmp_path / "deep" / "seed0.log", SAY, *words)
    assert job.communicate(timeout=60) == ("", None)
    assert sorted((tmp_path / "deep" / "seed0.log").read_text().splitlines()[1:]) == sorted([str(words), "to stderr"])


def test_every_attempt_has_a_log_of_its_own_and_the_rules_log_is_the_newest(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "seed0.log"
    other = tmp_path / "logs" / "seed0.7.other.log"
    other.touch()
    for attempt in (1, 2, 3):
        log.unlink(missing_ok=True)  # as Snakemake does before a retry
        assert start(log, f"print('this is {attempt}')").wait(60) == 0
    for attempt in (1, 2, 3):
        lines = log.with_name(f"seed0.{attempt}.log").read_text().splitlines()
        assert lines[0].startswith(f"attempt {attempt} on ")
        assert lines[1:] == [f"this is {attempt}"]
    assert log.readlink() == Path("seed0.3.log")
    (tmp_path / "logs").rename(tmp_path / "moved")
    assert "this is 3" in (tmp_path / "moved" / "seed0.log").read_text()
    assert len(list((tmp_path / "moved").iterdir())) == 5


def test_attempts_that_start_at_once_do_not_share_a_log(tmp_path: Path) -> None:
    log = tmp_path / "seed0.log"
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: start(log, f"print('job', {number})").wait(60), range(8)))
    assert statuses == [0] * 8
    logs = [tmp_path / f"seed0.{attempt}.log" for attempt in range(1, 9)]
    assert sorted(path.read_text().splitlines()[1] for path in logs) == [f"job {number}" for number in range(8)]
    assert log.resolve() in logs
    assert len(list(tmp_path.iterdir())) == 9


def test_a_log_from_before_there_were_attempts_is_replaced_by_the_link(tmp_path: Path) -> None:
    (tmp_path / "seed0.log").write_text("old")
    assert start(tmp_path / "seed0.log", SAY).wait(60) == 0
    assert (tmp_path / "seed0.log").readlink() == Path("seed0.1.log")


TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"


def test_the_first_line_says_what_started_where(tmp_path: Path) -> None:
    slurm = {"SLURM_JOB_ID": "123", "SLURMD_NODENAME": "n1", "CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "1"}
    said = first_line(tmp_path / "log", **slurm)
    assert re.fullmatch(rf"attempt 1 on n1, GPU 1, SLURM job 123, {TIME}, 1 thread", said)
    array = {"SLURM_ARRAY_JOB_ID": "120", "SLURM_ARRAY_TASK_ID": "3", "OMP_NUM_THREADS": "4"}
    said = first_line(tmp_path / "log", **{**slurm, **array})
    assert re.fullmatch(rf"attempt 2 on n1, GPU 1, SLURM job 120_3, {TIME}, 4 threads", said)
    said = first_line(tmp_path / "log")
    assert re.fullmatch(rf"attempt 3 on [^, ]+, {TIME}", said)
