"""What `make watch` reads in a log: lines as the stages write them, whatever else stands there, never all of it."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stages.attack.evaluation import Evaluation
from stages.core.job import epochs, lease, progress
from tests.conftest import Project
from workflow.commands.watch.logs import TAIL, Log, read_log
from workflow.commands.watch.look import SILENT
from workflow.commands.watch.said import Said, said
from workflow.commands.watch.times import duration, seconds_of
from workflow.planning.jobs import Job, Plan
from workflow.planning.stages import ATTACK, CERTIFY, DATA, PRETRAIN, TRAIN, Stage

HEADER = "attempt 2 on node7, 2026-11-28T10:33:27+00:00, 1 thread"
ALONE = replace(ATTACK)  # an attack job of one attack
ROW = {"epoch": 4.0, "lr": 0.1, "loss": 2.25, "lsp_loss": 0.0435, "clean_accuracy": 0.5, "robust_accuracy": 0.19}


@pytest.fixture
def told(plan_of: Callable[..., Plan]) -> Callable[..., Said]:
    """What a stage's first job is taken to say by the lines of its log, the last of them `age` seconds old."""
    plan = plan_of("recipes: {standard: {epochs: 10}}\ncertify: [vanilla]")

    def saying(stage: Stage, *lines: str, age: float = 0.0) -> Said:
        job: Job = next(iter(plan.of(ATTACK if stage is ALONE else stage).values()))
        if stage is ALONE:
            attacks = json.loads(job.settings)["attacks"]
            job = replace(job, settings=json.dumps({"attacks": dict([attacks.popitem()])}))
        return said(job, Log(1000.0, HEADER, (HEADER, *lines)), 1000.0 + age)

    return saying


def test_an_epoch_s_line_as_training_writes_it_gives_numbers_and_the_time_left(told: Callable[..., Said]) -> None:
    found = told(TRAIN, epochs.said("epoch", {**ROW, "seconds": 30.0}, 10), age=12)
    assert found.where == "4 of 10 epochs"
    assert found.measured == "loss 2.25, clean 50.0 %, robust 19.0 %, 30.0 s an epoch, lsp_loss 0.0435"
    assert found.left == 6 * 30 - 12
    moco = told(PRETRAIN, epochs.said("MoCo epoch", {"epoch": 2.0, "loss": 5.0, "seconds": 8.0}, 3))
    assert (moco.where, moco.left) == ("2 of 3 epochs", 8)


def test_no_more_than_an_epoch_is_taken_off_and_the_last_leaves_nothing(told: Callable[..., Said]) -> None:
    row = epochs.said("epoch", {**ROW, "seconds": 30.0}, 10)
    assert told(TRAIN, row, age=3600).left == 5 * 30
    assert told(TRAIN, row.replace("4/10", "10/10")).left == 0


def test_a_line_between_epochs_as_progress_writes_it_counts_the_part_that_is_done(
    told: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(progress.time, "monotonic", iter(range(0, 1000, 4)).__next__)  # type: ignore[attr-defined]
    list(progress.progress(range(8), "epoch 5", 8))
    (half,) = [line for line in capsys.readouterr().err.splitlines() if "4/8" in line]
    assert half == "epoch 5: 4/8 in 20 s"
    found = told(TRAIN, epochs.said("epoch", {**ROW, "seconds": 40.0}, 10), half, age=2)
    assert (found.where, found.left) == ("4.5 of 10 epochs", 6 * 40 - 22)
    at_first = told(TRAIN, "epoch 1: 4/8 in 20 s")
    assert (at_first.where, at_first.left) == ("0.5 of 10 epochs", 10 * 40 - 20)


@pytest.mark.parametrize(
    "line", ["epoch 1/2: hello world, 3.0 s", "epoch 1/0 in 0 s", "attack", "error of: 3/0 in 2 s", "12"]
)
def test_a_line_of_another_kind_is_shown_as_it_is(told: Callable[..., Said], line: str) -> None:
    for stage in (TRAIN, PRETRAIN, ATTACK, CERTIFY, DATA):
        assert line.partition(":")[0] in told(stage, line).where + told(stage, line).measured


def test_a_resumed_run_counts_from_where_it_goes_on(told: Callable[..., Said]) -> None:
    state = SimpleNamespace(epoch=7, current_epoch=SimpleNamespace(step=3))
    place = epochs.EpochState.place.fget(state)  # type: ignore[attr-defined]
    assert told(TRAIN, f"resumed {place}").where == "7 of 10 epochs"


def test_a_line_of_the_engine_as_it_writes_it_gives_points_accuracy_and_the_most_that_is_left(
    told: Callable[..., Said], capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = SimpleNamespace(robust=torch.tensor([True] * 19 + [False] * 21))
    state: Any = SimpleNamespace(
        name="aa", verdicts=verdicts, _labels=[0] * 40, _counted=40, _spoken=-1e9, _begun=0.0, _made_before=0.0
    )
    Evaluation.say(state, "search: square, iteration 4571 of 5000", 1e12, 1.0)
    (line,) = capsys.readouterr().err.splitlines()
    line = line.replace("00:00", "02:05")
    found = told(CERTIFY, "certificate: margin: 19 of 40 robust, 0.1 s", line)
    assert found.where == "aa: square 4571 of 5000"
    assert found.measured == "19 of 40 points left, robust 47.50 % [32.94, 62.50], ≤ 2 min to go in this attack"
    alone = told(ALONE, line, age=5)
    assert (alone.where, alone.left, alone.to_go) == ("square 4571 of 5000", 120, "≤ 2 min")
    assert alone.measured == "19 of 40 points left, robust 47.50 % [32.94, 62.50]"


def test_an_attack_is_told_by_its_batches_and_its_rate(told: Callable[..., Said]) -> None:
    one = told(ATTACK, "attack clean-1: 30/40 in 60 s", age=5)
    assert (one.where, one.measured) == (
        "0 of 2 attacks; clean-1: 30 of 40 batches",
        "2.0 s each, 15 s to go in this attack",
    )
    two = told(ATTACK, "clean-1: robust accuracy 0.8557 of 10000, 147.5 s", "attack fgsm-2: 30/40 in 6 s", age=1)
    assert (two.where, two.measured) == (
        "1 of 2 attacks; fgsm-2: 30 of 40 batches",
        "5.0 a second, 1 s to go in this attack",
    )
    alone = told(ALONE, "attack fgsm-2: 30/40 in 60 s", age=5)
    assert (alone.where, alone.measured, alone.left) == ("30 of 40 batches", "2.0 s each", 15)


def test_a_certificate_is_told_by_its_last_finding(told: Callable[..., Said]) -> None:
    assert told(CERTIFY, "certificate: pgd: 21 of 40 robust, 0.1 s").where == "after pgd: 21 of 40 robust, 0.1 s"


def test_a_job_is_silent_when_another_would_take_over_its_lease() -> None:
    assert SILENT == lease.STALE


def test_a_log_without_a_line_may_wait_for_a_gpu(plan_of: Callable[..., Plan]) -> None:
    job = next(iter(plan_of().train.values()))
    assert "GPU" in said(job, Log(0.0, "", ()), 0.0).where


def test_the_logs_of_a_finished_experiment_are_understood(finished: Project, plan_of: Callable[..., Plan]) -> None:
    plan = plan_of()
    for stage, where in ((TRAIN, "1 of 1 epochs"), (PRETRAIN, "1 of 1 epochs"), (ATTACK, "2 of 2 attacks")):
        for job in plan.of(stage).values():
            log = read_log(finished.root / job.log)
            assert log is not None
            assert log.begun is not None
            assert (finished.root / job.stage.resumed(job.key) / "finished").is_dir()  # the folder that it held
            found = said(job, log, log.modified)
            assert found.where == where or (stage is ATTACK and found.where.endswith("% robust"))


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(f"{HEADER}\nepoch 1/12: loss 2, 3.0 s\nepoch 2/1")
    found = read_log(path)
    assert found is not None
    assert found.said == ("epoch 1/12: loss 2, 3.0 s",)
    assert found.begun == 1795862007


def test_a_bar_that_goes_back_counts_as_lines_and_escapes_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"attempt\r 10%|#  |\r\x1b[32m 20%|## |\x1b[0m\r 30%|#")
    found = read_log(path)
    assert found is not None
    assert found.lines == ("attempt", " 10%|#  |", " 20%|## |")


def test_a_log_of_100_mb_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("wb") as stream:
        stream.write(f"{HEADER}\nerror: long ago\n".encode())
        stream.truncate(100_000_000)
        stream.seek(0, 2)
        stream.write(b"\n" + b"step\n" * TAIL + b"epoch 2/3: loss 1, 4.0 s\n")
    tracemalloc.start()
    found = read_log(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found is not None
    assert (found.first, found.lines[-1], found.failure) == (HEADER, "epoch 2/3: loss 1, 4.0 s", "")
    assert peak < 100 * TAIL


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("error: loss is nan\n", "error: loss is nan"),
        ("Traceback (most recent call last):\n  File\n    x\nValueError: a\nb\n", "ValueError: a"),
        (
            "Traceback (most recent call last):\nKeyError: 1\n\nDuring\n\nTraceback (most\n  x\nOSError: 2\n",
            "OSError: 2",
        ),
        ("Traceback (most recent call last):\n  cut", "Traceback (most recent call last):"),
        ("epoch 1/2: loss 2, 1.0 s\nno error: here\n", ""),
    ],
)
def test_a_failure_is_its_error_s_one_line(text: str, failure: str, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(text)
    found = read_log(tmp_path / "a.log")
    assert found is not None
    assert found.failure == failure


def test_durations_are_read_at_a_glance() -> None:
    seconds = [0.4, 45, 60, 754, 12_000, 187_200]
    assert [duration(one) for one in seconds] == ["0 s", "45 s", "1 min", "12 min", "3 h 20 min", "2 d 4 h"]
    assert (seconds_of("02:05"), seconds_of("1:00:01")) == (125, 3601)
