"""On a real SLURM: whatever happens to the jobs, the tables are those of a run without it."""

import os
import re
import signal
import time
from collections.abc import Callable

import pytest

from tests.conftest import Project
from tests.slurm.conftest import LSP, Submitted

Submit = Callable[..., Submitted]
EPOCHS = list(range(1, 25))
LSP_ALONE = ("train/digits/lsp-*", "attack/digits/lsp-*")
FIRST_LINE = re.compile(r"attempt (\d+) on n1(?:, GPU (?P<gpu>\S+))?, SLURM job (?P<job>\d+), \S+, 1 thread\n")


def job_of(log: str) -> str:
    """The SLURM job that an attempt's log tells."""
    told = FIRST_LINE.match(log)
    assert told is not None, log
    return told["job"]


@pytest.mark.quick
def test_a_cancelled_job_is_run_again(submit: Submit, finished: Project) -> None:
    run = submit(finished, *LSP_ALONE, alone=True)
    run.start()
    job, _ = run.stage()
    run.cluster.ask("scancel", job)
    run.finish()
    first, second = run.attempts(LSP)
    assert job_of(first) == job != job_of(second)


def test_the_whole_pipeline_with_each_stage_where_it_belongs(submit: Submit, local: Project) -> None:
    run = submit(local, "[!r]*")
    run.start()
    run.finish()
    logs = {path.relative_to(run.root / "logs").parts[0]: path for path in (run.root / "logs").rglob("*.1.log")}
    told = {stage: FIRST_LINE.match(path.read_text()) for stage, path in logs.items()}
    assert told.pop("tables") is None
    assert {stage for stage, line in told.items() if line and line["gpu"]} == {
        "pretrain",
        "embed",
        "train",
        "attack",
        "pictures",
    }
    assert {stage for stage, line in told.items() if line} == told.keys()


def test_a_cancelled_training_goes_on_from_the_step_it_was_in(submit: Submit, local: Project) -> None:
    run = submit(local, *LSP_ALONE)
    run.start()
    job, _ = run.in_epoch(3)
    run.cluster.ask("scancel", job)
    run.finish()
    first, second = run.attempts(LSP)
    assert "interrupted by SIGTERM after epoch" in first
    assert re.search(r"^resumed after epoch \d+", second, re.MULTILINE)
    assert run.epochs() == EPOCHS, "no epoch is trained twice"


def test_a_killed_step_goes_on_from_the_last_save(submit: Submit, local: Project) -> None:
    run = submit(local, *LSP_ALONE)
    run.start()
    _, process = run.in_epoch(3)
    os.kill(process.pid, signal.SIGKILL)
    run.finish()
    first, second = run.attempts(LSP)
    assert "interrupted" not in first
    assert "resumed after epoch" in second
    assert run.epochs() == EPOCHS


def test_a_job_out_of_memory_gets_more(submit: Submit, local: Project) -> None:
    run = submit(local, *LSP_ALONE)
    half = run.needed // 2
    run.overlay = run.overlay.replace(f"train: {{mem_mb: {run.needed},", f"train: {{mem_mb: {half},")
    run.start()
    run.finish()
    asked = [run.cluster.details(job_of(log))["MinMemoryNode"] for log in run.attempts(LSP)]
    assert asked[:2] == [f"{half}M", f"{2 * half}M"]


def test_a_job_out_of_memory_that_will_not_get_more_is_given_up_at_once(submit: Submit, local: Project) -> None:
    run = submit(local, *LSP_ALONE)
    half = run.needed // 2
    run.start("--set-resources", f"train:mem_mb={half}")
    assert run.main is not None
    assert run.main.wait(400) == 1
    (log,) = run.attempts(LSP)
    line = f"killed for memory with {half} MB, the most it asks for"
    assert f"error: {line}" in log
    assert "raise resources.train.mem_mb" in log
    assert line in (run.root / "main1.log").read_text()


def preempt(run: Submitted, job: str) -> None:
    """A job of the urgent partition takes the whole node; returns when the other one is off it."""
    run.cluster.sbatch("sleep 3", "--partition=urgent", "--cpus-per-task=8")
    run.cluster.wait(
        lambda: not any(one["id"] == job and one["state"] == "RUNNING" for one in run.cluster.jobs()), "preemption", 60
    )


def test_a_preempted_job_that_saves_goes_on(submit: Submit, local: Project) -> None:
    run = submit(local, *LSP_ALONE)
    run.start()
    job, _ = run.in_epoch(3)
    preempt(run, job)
    run.finish()
    first, second = run.attempts(LSP)
    assert "interrupted by SIGTERM after epoch" in first
    assert "resumed after epoch" in second
    assert run.epochs() == EPOCHS


def test_a_preempted_job_that_does_not_save_is_queued_again_by_slurm(submit: Submit, local: Project) -> None:
    run = submit(local, *LSP_ALONE)
    stuck = "SIGNALS = ()\nsignal.signal(signal.SIGTERM, lambda *_: threading.Event().wait(60))"
    run.project.edit("stages/core/job/interrupt.py", "SIGNALS = (signal.SIGTERM, signal.SIGINT)", stuck)
    run.start()
    job, _ = run.in_epoch(3)
    preempt(run, job)
    run.finish()
    assert [job_of(log) for log in run.attempts(LSP)] == [job, job]
    first, second = run.attempts(LSP)
    assert "interrupted" not in first
    assert "resumed after epoch" in second
    assert run.epochs() == EPOCHS


def test_a_drained_node_finishes_its_jobs_and_takes_no_other(submit: Submit, local: Project) -> None:
    run = submit(local, *LSP_ALONE)
    run.start()
    run.in_epoch(1)
    run.cluster.ask("scontrol", "update", "nodename=n1", "state=drain", "reason=test")
    run.cluster.wait(
        lambda: any("attack" in job["comment"] and job["state"] == "PENDING" for job in run.cluster.jobs()),
        "an attack job that waits",
        180,
    )
    assert run.epochs() == EPOCHS
    assert not run.attempts("attack/digits/lsp-*/seed0/*")
    run.cluster.ask("scontrol", "update", "nodename=n1", "state=resume")
    run.finish()
    assert len(run.attempts(LSP)) == 1


def test_a_killed_main_process_started_again_repeats_nothing(submit: Submit, local: Project) -> None:
    run = submit(local, *LSP_ALONE)
    run.start()
    first, _ = run.in_epoch(2)
    assert run.main is not None
    run.main.kill()
    run.main.wait()
    unlocked = run.project.command("snakemake", "--unlock", *run.project.configfiles(run.overlay))
    assert unlocked.returncode == 0, unlocked.stdout
    run.start()
    run.finish()
    logs = run.attempts(LSP)
    assert len({job_of(log) for log in logs}) == 2
    assert job_of(logs[0]) == first
    assert run.epochs() == EPOCHS
    assert "another process has finished this job; its outputs are taken" in logs[1]


def test_concurrent_jobs_have_distinct_gpus(submit: Submit, local: Project) -> None:
    run = submit(local, "train/digits/*", "attack")
    run.start()
    assert run.main is not None
    seen: set[frozenset[str]] = set()
    while run.main.poll() is None:
        jobs = [job for job in run.cluster.jobs() if job["state"] == "RUNNING" and "train" in job["comment"]]
        at_work = [process for job in jobs for process in run.cluster.processes(job["raw_id"], "-m stages.train ")]
        found = [re.findall(r"CUDA_VISIBLE_DEVICES=(\S+)", "\n".join(process.variables)) for process in at_work]
        gpus = [gpu for one, process in zip(found, at_work, strict=True) if process.words[1] == "-m" for gpu in one]
        assert len(gpus) == len(set(gpus)), gpus
        seen.add(frozenset(gpus))
        time.sleep(0.3)
    run.finish()
    assert frozenset({"0", "1"}) in seen, "two jobs at a time"
    assert len(run.attempts("train/digits/*/seed0")) == 4


def test_an_array_comes_out_right_though_snakemake_repeats_some_of_it(submit: Submit, local: Project) -> None:
    run = submit(local, "attack")
    run.start("--slurm-array-jobs", "attack")
    assert "Submitted array job" in run.finish()
    first_lines = [log.splitlines()[0] for log in run.attempts("attack/digits/*/seed0/*")]
    assert sum(bool(re.search(r"SLURM job \d+_\d+,", line)) for line in first_lines) >= 4


def test_a_group_of_short_jobs_shares_an_allocation(submit: Submit, local: Project) -> None:
    run = submit(local, "neighbors", "structure", *LSP_ALONE)
    run.start()
    run.finish()
    assert len({job_of(*run.attempts(f"{stage}/*")) for stage in ("index", "search", "structure")}) == 1
