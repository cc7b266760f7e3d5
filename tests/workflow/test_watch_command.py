"""`make watch` as a command: in a pipe, on a terminal, and what it loads."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.conftest import ROOT, TINY
from tests.workflow.made_up import EPOCHS, NOW, Made, first
from workflow.commands.watch.__main__ import in_a_pipe
from workflow.commands.watch.look import SILENT, Observer

WATCH = "workflow.commands.watch"


def test_in_a_pipe_it_prints_a_line_a_look_and_ends_with_0_when_all_is_done(
    made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state, slept = made(), []
    job = first(state.plan.train)
    state.log(job, EPOCHS)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        state.finish_all()

    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(time, "sleep", sleep)
    assert in_a_pipe(Observer(state.plan, state.root), 60) == 0
    before, after = capsys.readouterr().out.splitlines()
    jobs = sum(map(len, state.look().stages.values()))
    assert f" 0 of {jobs} done, 1 running, {jobs - 1} missing; 10 min since the first began; left: " in before
    assert after.endswith(f"{jobs} of {jobs} done; 10 min since the first began")
    assert slept == [60]


def test_in_a_pipe_it_ends_with_1_once_a_job_has_failed_and_nothing_has_stirred(
    made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = made()
    failed, other = list(state.plan.train.values())[:2]
    state.log(failed, "error: loss is nan\n", age=60)
    state.log(other, EPOCHS, age=30)
    clock = [NOW]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    assert in_a_pipe(Observer(state.plan, state.root), 60) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == f"failed train {failed.key}: error: loss is nan ({failed.log})"
    assert ["running" in shown for shown in lines] == [True, True, False]
    assert clock[0] > NOW - 30 + SILENT


def test_the_command_loads_no_torch_and_no_snakemake(made: Callable[..., Made]) -> None:
    state = made()
    state.finish_all()
    code = (
        f"import sys\nfrom {WATCH}.__main__ import main\n"
        f"try: main(['--configfile', {str(TINY)!r}, '--directory', {str(state.root)!r}])\n"
        "except SystemExit as ended: print(ended.code, {'torch', 'pandas', 'snakemake'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    said, ended = done.stdout.splitlines()
    assert " done; " in said
    assert ended == "0 set()"


def heed_ctrl_c() -> None:
    """A shell's background jobs, as these tests may be, are started with Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("finished", [True, False])
def test_on_a_terminal_it_stays_until_all_is_done_or_ctrl_c(made: Callable[..., Made], finished: bool) -> None:
    state = made()
    state.log(first(state.plan.train), EPOCHS)
    if finished:
        state.finish_all()
    words = [
        sys.executable,
        "-m",
        WATCH,
        "--interval",
        "0.1",
        "--configfile",
        str(TINY),
        "--directory",
        str(state.root),
    ]
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "40"}
    process = subprocess.Popen(
        words, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, preexec_fn=heed_ctrl_c
    )
    os.close(theirs)
    text, stopped = b"", False
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        text += part
        if not finished and not stopped and text.count(b"experiment tiny") > 2:
            process.send_signal(signal.SIGINT)
            stopped = True
        if not part:
            break
    os.close(ours)
    assert process.wait() == (0 if finished else 128 + signal.SIGINT)
    assert b"Traceback" not in text
    stays = text.rpartition(b"\x1b[?1049l")[2].decode()  # behind the sequence that leaves the alternative screen
    assert "experiment tiny" in stays
    assert ("running  train" in re.sub(r"\x1b\[[\d;]*m", "", stays)) is not finished
