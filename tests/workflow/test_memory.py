"""The memory that jobs ask for: no less than an idle process holds or a like job took, and no attempt in vain."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.core.errors import ConfigError
from tests.conftest import Project
from workflow.launch.exhausted import TIMES, told_killed
from workflow.planning import peaks as planned_peaks
from workflow.planning.jobs import Job, Plan
from workflow.planning.peaks import asked, peaks
from workflow.planning.stages import ATTACK, STAGES, TRAIN

PlanOf = Callable[..., Plan]
KILLED = "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks have been OOM Killed."
SAID = [
    (KILLED, True),
    ("srun: error: n1: task 0: Out Of Memory", True),
    ("slurmstepd-n1: error: StepId=1.0 exceeded memory limit (850980864 > 847249408), being killed", True),
    ("slurmstepd-n1: error: Exceeded job memory limit", True),
    ("slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***", False),
    ("error: out of GPU memory; lower batch_size, or give the job a GPU of its own", False),
    ("torch.OutOfMemoryError: CUDA out of memory.", False),
    ("said slurmstepd of oom_kill", False),
    ("", False),
]


@pytest.mark.parametrize(("line", "killed"), SAID)
def test_slurms_own_words_alone_tell_of_a_job_killed_for_memory(line: str, killed: bool, tmp_path: Path) -> None:
    (tmp_path / "7.log").write_text(f"attempt 1\n{line}\nthe end\n")
    assert told_killed([str(tmp_path / "none.log"), str(tmp_path / "7.log")], "") == killed


@pytest.mark.parametrize(("state", "killed"), [("OUT_OF_MEMORY", True), ("FAILED", False), ("TIMEOUT", False)])
def test_the_jobs_state_tells_it_too(state: str, killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "scontrol"
    command.write_text(f"#!/bin/sh\necho JobId=$4 JobState={state} Reason=None\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert told_killed([], "7") == killed
    assert not told_killed([], "")
    command.write_text("#!/bin/sh\necho JobState=OUT_OF_MEMORY; exit 1\n")
    assert not told_killed([], "7")


@pytest.mark.parametrize(("stage", "least"), [("train", 500), ("data", 500), ("tables", 100)])
def test_less_than_an_idle_process_holds_is_refused(plan_of: PlanOf, stage: str, least: int) -> None:
    plan_of(f"resources: {{{stage}: {{mem_mb: {least}}}}}")
    with pytest.raises(ConfigError, match=rf"^resources\.{stage}\.mem_mb: {least - 1} is less than the {least} MB"):
        plan_of(f"resources: {{{stage}: {{mem_mb: {least - 1}}}}}")


def finish(root: Path, job: Job, megabytes: float) -> None:
    """A manifest of a job that took so much."""
    path = root / job.file("manifest")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"peak_memory_bytes": {"host": megabytes * 1e6, "gpu": 1e12}}))


def test_what_like_jobs_took_is_asked_for_unless_the_experiment_says_what(plan_of: PlanOf, tmp_path: Path) -> None:
    plan = plan_of()
    assert peaks(plan, tmp_path) == {}
    for job, took in zip(plan.train.values(), (900, 7000, 5000), strict=True):
        finish(tmp_path, job, took)
    assert peaks(plan, tmp_path) == {"train": 7000}
    experiment = plan.experiment
    assert asked(experiment, "train", 7000).mem_mb == 1.2 * 7000 + 350
    assert asked(experiment, "train", 900).mem_mb == experiment.stage_resources("train").mem_mb == 4000
    assert asked(experiment, "train", None) == experiment.stage_resources("train")
    own = plan_of("resources: {train: {mem_mb: 5000}, attack: {threads: 2}}").experiment
    assert asked(own, "train", 7000).mem_mb == 5000
    assert asked(own, "attack", 7000).mem_mb == 1.2 * 7000 + 350


def test_of_thousands_of_jobs_few_manifests_are_read(
    plan_of: PlanOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(f"seeds: {list(range(300))}")
    read: list[Job] = []

    def counted(job: Job, root: Path) -> int:
        read.append(job)
        return len(read)

    monkeypatch.setattr(planned_peaks, "peak_of", counted)
    assert peaks(plan, tmp_path).keys() == {job.resources for stage in STAGES for job in plan.of(stage).values()}
    for stage in (TRAIN, ATTACK):
        assert 25 <= len([job for job in read if job.stage is stage]) <= 50


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"peak_memory_bytes": {"host": null}}'])
def test_a_manifest_that_does_not_tell_is_passed_over(content: str, plan_of: PlanOf, tmp_path: Path) -> None:
    plan = plan_of()
    job = next(iter(plan.train.values()))
    finish(tmp_path, job, 1)
    (tmp_path / job.file("manifest")).write_text(content)
    assert peaks(plan, tmp_path) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last_words", "more", "memory", "attempts"),
    [
        (KILLED, [], 1800, TIMES),
        (KILLED, ["--set-resources", "data:mem_mb=700"], 700, 1),
        ("error: it failed", [], 0, 4),
    ],
    ids=["grown", "fixed", "another-failure"],
)
def test_a_job_killed_at_the_most_it_asks_for_is_given_up_and_any_other_failure_is_tried_again(
    fresh: Project, last_words: str, more: list[str], memory: int, attempts: int
) -> None:
    fresh.append("stages/data/catalog.py", f"\nprint({last_words!r}, flush=True)\nraise SystemExit(1)\n")
    overlay = "resources: {data: {mem_mb: 600}}"
    done = fresh.snakemake("--retries", "3", "--until", "data", *more, overlay=overlay)
    assert done.returncode == 1
    logs = sorted((fresh.root / "logs/data").glob("*.[0-9].log"))
    assert len(logs) == attempts
    line = f"killed for memory with {memory} MB, the most it asks for; it is not tried again"
    told = rf"^data \S+: {re.escape(line)}: raise resources\.data\.mem_mb$"
    assert len(re.findall(told, done.stdout, re.MULTILINE)) == bool(memory)
    assert [f"error: {line}" in log.read_text() for log in logs] == [bool(memory) and log == logs[-1] for log in logs]
