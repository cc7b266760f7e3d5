"""`make watch`: what a reader sees of an experiment in every state it can be in, from made-up logs and outputs."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from tests.conftest import ROOT, TINY
from workflow.commands.watch.__main__ import in_a_pipe
from workflow.commands.watch.look import SILENT, Look, Observer, Seen
from workflow.commands.watch.view import frame, line
from workflow.planning.jobs import Job, Plan
from workflow.planning.stages import STAGES

NOW = 1_800_000_000.0
EPOCHS = "epoch 1/10: loss 2.3000, clean_accuracy 0.2500, robust_accuracy 0.1000, lsp_loss 0.0412, 30.0 s\n"
WATCH = "workflow.commands.watch"


@dataclass
class Made:
    """A made-up state of a plan's jobs below `root`."""

    plan: Plan
    root: Path

    def log(self, job: Job, text: str, age: float = 0.0, begun: float = NOW - 600) -> None:
        """A log with the attempt's first line, grown for the last time `age` seconds before NOW."""
        path = self.root / job.log
        path.parent.mkdir(parents=True, exist_ok=True)
        started = datetime.fromtimestamp(begun, UTC).isoformat(timespec="seconds")
        path.write_text(f"attempt 1 on node7, GPU 3, SLURM job 81, {started}, 1 thread\n{text}")
        os.utime(path, (NOW - age, NOW - age))

    def heartbeat(self, job: Job, age: float) -> None:
        """A lease on the job's folder, renewed for the last time `age` seconds before NOW."""
        held = self.root / job.stage.resumed(job.key) / "lease/0a.json"
        held.parent.mkdir(parents=True)
        held.write_text("{}")
        os.utime(held, (NOW - age, NOW - age))

    def finish(self, *jobs: Job, seconds: float = 60.0) -> None:
        """Output and manifest of jobs, and their logs."""
        for job in jobs:
            self.log(job, "")
            (self.root / job.folder).mkdir(parents=True, exist_ok=True)
            for name in dict.fromkeys((next(iter(job.stage.files)), "manifest")):
                (self.root / job.file(name)).write_text(json.dumps({"seconds": seconds}))
                os.utime(self.root / job.file(name), (NOW, NOW))

    def finish_all(self) -> None:
        """Every job."""
        self.finish(*(job for stage in STAGES for job in self.plan.of(stage).values()))
        self.finish(*self.plan.tables.values(), *self.plan.lists.values())

    def look(self) -> Look:
        """A first look."""
        return Observer(self.plan, self.root).look(NOW)

    def seen(self, job: Job) -> Seen:
        """A job at a first look."""
        (found,) = [seen for jobs in self.look().stages.values() for seen in jobs if seen.job is job]
        return found

    def shown(self, width: int = 80, height: int = 50) -> str:
        """A frame of a terminal as text."""
        console = Console(record=True, width=width, height=height, force_terminal=True, file=open(os.devnull, "w"))  # noqa: SIM115
        console.print(frame(self.plan.experiment.place, self.look(), width, height))
        return console.export_text()


@pytest.fixture
def made(plan_of: Callable[..., Plan], tmp_path: Path) -> Callable[..., Made]:
    """The tiny experiment under overlays, with nothing started."""
    return lambda *overlays: Made(plan_of(*overlays), tmp_path / "root")


def first(jobs: object) -> Job:
    assert isinstance(jobs, dict)
    found = next(iter(jobs.values()))
    assert isinstance(found, Job)
    return found


@pytest.mark.parametrize(
    ("text", "age", "heartbeat", "state"),
    [
        (EPOCHS, 5, None, "running"),
        (EPOCHS, SILENT + 60, None, "silent"),
        (EPOCHS, SILENT + 60, 9, "running"),
        (EPOCHS, SILENT + 60, SILENT + 60, "silent"),
        (EPOCHS + "error: loss is nan\n", 5, None, "failed"),
        ("Traceback (most recent call last):\n  File\nKeyError: 'a'\n", 5000, None, "failed"),
        (EPOCHS + "interrupted by SIGTERM; run the job again\n", 5, None, "stopped"),
        ("", 5, None, "running"),
    ],
)
def test_a_job_s_state_follows_from_its_log_and_its_signs_of_life(
    made: Callable[..., Made], text: str, age: float, heartbeat: float | None, state: str
) -> None:
    state_of = made()
    job = first(state_of.plan.train)
    assert state_of.seen(job).state == "missing"
    state_of.log(job, text, age)
    if heartbeat is not None:
        state_of.heartbeat(job, heartbeat)
    assert state_of.seen(job).state == state
    state_of.finish(job)
    assert state_of.seen(job).state == "done"


def test_nothing_started_is_all_missing_and_tells_no_time(made: Callable[..., Made]) -> None:
    look = made().look()
    assert look.count("missing") == sum(map(len, look.stages.values())) > 10
    assert (look.begun, look.done, look.given_up) == (None, False, False)
    assert "unknown" in line(look)
    assert "since the first" not in line(look)


def test_a_frame_tells_failures_with_their_error_and_log_and_what_runs_with_its_numbers(
    made: Callable[..., Made],
) -> None:
    state = made("recipes: {standard: {epochs: 10}}")
    running, failed, silent = list(state.plan.train.values())[:3]
    state.log(running, EPOCHS, age=10)
    state.log(failed, EPOCHS + "error: loss is nan at [red]epoch[/red] 2 :bomb:\n", age=400)
    state.log(silent, EPOCHS, age=12 * 60)
    for width in (80, 200):
        text = state.shown(width)
        assert all(len(shown) <= width for shown in text.splitlines())
        assert re.search(r"^train .* 0/3 +1 +1 +1", text, re.MULTILINE)
        assert f"failed  train {failed.key}\n  error: loss is nan at [red]epoch[/red] 2 :bomb:\n  {failed.log}" in text
        assert f"silent for 12 min  train {silent.key}" in text
        assert re.search(f"running  train {running.key} +4 min left", text)  # 9 epochs of 30 s, less 10 s
        assert "1 of 10 epochs, loss 2.3, clean 25.0 %, robust 10.0 %, 30.0 s an epoch" in text
        assert "10 min since the first began" in text


def test_of_two_hundred_running_jobs_as_many_are_shown_as_fit(made: Callable[..., Made]) -> None:
    state = made(f"seeds: {list(range(200))}\nmethods: {{lsp: {{title: LSP}}}}")
    jobs = list(state.plan.train.values())
    for job in jobs[:200]:
        state.log(job, EPOCHS)
    for job in jobs[200:210]:
        state.log(job, "error: no\n")
    for width, height in ((80, 24), (80, 50), (200, 50)):
        text = state.shown(width, height)
        assert len(text.splitlines()) < height
        assert all(len(shown) <= width for shown in text.splitlines())
        shown = {what: text.count(f"{what}  train ") for what in ("running", "failed")}
        assert f"and {200 - shown['running']} more running" in text
        assert f"and {10 - shown['failed']} more failed" in text
        assert min(shown.values()) > 0


def test_a_name_that_is_too_long_keeps_both_ends(made: Callable[..., Made]) -> None:
    state = made(
        f"methods: {{{'long' * 30}: {{title: Long}}}}\ntables: {{table1: {{methods: [{'long' * 30}]}}, table2: null}}"
    )
    (job,) = state.plan.train.values()
    state.log(job, EPOCHS)
    (named,) = [shown for shown in state.shown(80).splitlines() if shown.startswith("running")]
    assert re.match(r"running  train digits/long.*….*/seed0(  |$)", named)
    assert len(named) <= 80


def test_a_failed_index_is_told_in_the_place_of_the_neighbors_that_wait_for_it(made: Callable[..., Made]) -> None:
    state = made()
    index = first(state.plan.index)
    state.log(index, "error: too large\n")
    assert [seen.job for seen in state.look().stages["neighbors"] if seen.state == "failed"] == [index]
    assert f"failed  index {index.key}\n  error: too large\n  {index.log}" in state.shown()


def test_a_silent_log_under_a_beating_heart_is_running_and_says_how_long_it_has_been_silent(
    made: Callable[..., Made],
) -> None:
    state = made()
    job = first(state.plan.attack)
    state.log(job, "attack fgsm: 3/40 in 30 s\n", age=720)
    state.heartbeat(job, 5)
    assert "(no line for 12 min)" in state.shown(200)


def test_what_is_left_is_known_from_running_logs_and_other_seeds_and_else_unknown(made: Callable[..., Made]) -> None:
    state = made(
        "seeds: [0, 1]\nrecipes: {standard: {epochs: 10}}\n"
        "tables: {table1: {methods: [vanilla], attacks: [clean]}, table2: null}"
    )
    zero, one = state.plan.train.values()
    of_zero, of_one = state.plan.attack.values()
    state.finish(*state.plan.pretrain.values(), seconds=5)
    state.finish(zero, seconds=300)
    assert (state.look().left.jobs, state.look().left.unknown, state.look().left.seconds) == (3, 2, 300)
    state.finish(of_zero, seconds=20)
    state.log(one, EPOCHS, age=10)
    left = state.look().left
    assert (left.jobs, left.unknown, left.seconds, left.longest) == (2, 0, 9 * 30 - 10 + 20, 9 * 30 - 10)
    assert "left: about 4 min, with 1 running at a time" in line(state.look())
    state.log(one, "", begun=NOW - 100)  # nothing said yet: what the other seed took, less what has passed
    assert state.look().left.longest == 200
    state.finish(one, of_one)
    assert state.look().left.jobs == 0


def test_a_second_look_sees_what_has_changed_since(made: Callable[..., Made]) -> None:
    state = made("recipes: {standard: {epochs: 10}}")
    observer, job = Observer(state.plan, state.root), first(state.plan.train)
    state.log(job, EPOCHS, age=50)
    assert "1 of 10 epochs" in observer.look(NOW).of("running")[0].said.where
    state.log(job, EPOCHS + EPOCHS.replace("1/10", "2/10"), age=20)
    assert "2 of 10 epochs" in observer.look(NOW).of("running")[0].said.where
    state.finish(job)
    assert [seen.job for seen in observer.look(NOW).of("done")] == [job]
    (state.root / job.file("checkpoint")).unlink()  # a rerun: Snakemake deletes outputs and log first
    (state.root / job.log).unlink()
    assert observer.look(NOW).count("done") == 0


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
    process = subprocess.Popen(words, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
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
