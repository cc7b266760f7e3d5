"""Jobs on a machine with two GPUs: each has a slot to itself, none waits beside a free one, every end frees it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from workflow.launch import slots
from workflow.launch.devices import Device

SET_BY_SCHEDULERS = re.compile("SLURM|CUDA_|LSP_|OMP_")

# A job notes its GPU and when it began, ends when it is told to, and notes when.
JOB = """
import json, os, sys, time
from pathlib import Path
note, gpu, began = Path(sys.argv[1]), os.environ.get("CUDA_VISIBLE_DEVICES"), time.monotonic_ns()
note.with_suffix(".part").write_text(json.dumps(gpu))
note.with_suffix(".part").rename(note)
while not note.with_name("go").exists():
    time.sleep(0.01)
time.sleep(0.05)
note.with_suffix(".done").write_text(json.dumps([gpu, began, time.monotonic_ns()]))
"""

SNAKEFILE = """
rule all:
    input:
        expand("{{job}}.done", job=range(6)),


rule job:
    output:
        "{{job}}.done",
    log:
        "logs/{{job}}.log",
    resources:
        gpu=1,
    shell:
        "exec {python} -m workflow.launch.job --log {{log}} --gpu {{resources.gpu}} --jobs-per-gpu 1"
        " -- {python} job.py {{wildcards.job}}.gpu"
"""


@dataclass
class Machine:
    """A machine with GPUs of names that no other test has, and the jobs started there."""

    root: Path
    ids: list[str]
    jobs_per_gpu: int = 1
    jobs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *, gpu: int = 1, **variables: str) -> None:
        """Start a job; variables take the place of the machine's own GPUs."""
        gpus = {} if variables or not self.ids else {"LSP_GPUS": ",".join(self.ids)}
        environ = {**inherited(), "PATH": str(self.root), **gpus, **variables}  # no nvidia-smi on this PATH
        words = [JOB, str(self.root / f"{name}.gpu")]
        launch = ["--log", str(self.log(name)), "--gpu", str(gpu), "--jobs-per-gpu", str(self.jobs_per_gpu)]
        self.jobs[name] = subprocess.Popen(
            [sys.executable, "-m", "workflow.launch.job", *launch, "--", sys.executable, "-c", *words],
            cwd=ROOT,
            env=environ,
        )

    def log(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.log"

    def said(self, name: str) -> str:
        return self.log(name).read_text() if self.log(name).exists() else ""

    def waiting(self) -> set[str]:
        """Jobs that wait for a GPU."""
        running = self.running()
        return {name for name in self.jobs if "waiting for a GPU" in self.said(name)} - running.keys()

    def has_running(self, jobs: int) -> bool:
        return len(self.running()) == jobs

    def running(self) -> dict[str, str | None]:
        """{job that runs: its GPU}."""
        noted = {name: self.root / f"{name}.gpu" for name, job in self.jobs.items() if job.poll() is None}
        return {name: json.loads(note.read_text()) for name, note in noted.items() if note.exists()}

    def end(self) -> list[int]:
        """Let all jobs end, and those that wait start; returns their statuses."""
        (self.root / "go").touch()
        return [job.wait(60) for job in self.jobs.values()]


def inherited() -> dict[str, str]:
    """The environment, without what schedulers and users say of GPUs and threads."""
    return {key: value for key, value in os.environ.items() if not SET_BY_SCHEDULERS.match(key)}


def wait_for(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; it must within a minute."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited for a minute in vain"
        time.sleep(0.02)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine with two GPUs; what still runs there after the test is killed."""
    name = uuid.uuid4().hex[:8]
    made = Machine(tmp_path, [f"{name}-0", f"{name}-1"])
    yield made
    (tmp_path / "go").touch()
    for job in made.jobs.values():
        job.kill()
        job.wait()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_no_gpu_is_idle_while_jobs_wait_and_none_has_two_jobs(end: signal.Signals, machine: Machine) -> None:
    for name in "abcdef":
        machine.start(name)
    wait_for(lambda: len(machine.running()) == 2 and len(machine.waiting()) == 4)
    before = machine.running()
    assert sorted(map(str, before.values())) == machine.ids
    ended, gpu = before.popitem()
    machine.jobs[ended].send_signal(end)
    assert machine.jobs[ended].wait(60) == -end
    wait_for(lambda: machine.has_running(2))
    ((_, next_gpu),) = machine.running().items() - before.items()
    assert next_gpu == gpu
    assert len(machine.waiting()) == 3
    assert sorted(machine.end()) == [-end, 0, 0, 0, 0, 0]


def check_spans(machine: Machine, jobs: int, at_most: int) -> None:
    """All jobs have run, on every GPU, and whenever one began, no GPU had more than `at_most`."""
    spans = [json.loads(path.read_text()) for path in machine.root.glob("*.done")]
    assert len(spans) == jobs
    assert {gpu for gpu, _, _ in spans} == set(machine.ids)
    for _, moment, _ in spans:
        at_once = Counter(gpu for gpu, began, ended in spans if began <= moment < ended)
        assert max(at_once.values()) <= at_most, at_once


def test_at_no_time_has_a_gpu_more_jobs_than_slots(machine: Machine) -> None:
    machine.jobs_per_gpu = 2
    for number in range(12):
        machine.start(str(number))
    assert machine.end() == [0] * 12
    check_spans(machine, jobs=12, at_most=2)


def test_a_job_goes_to_the_gpu_with_the_fewest(machine: Machine) -> None:
    machine.jobs_per_gpu = 2
    for number, name in enumerate("abc", start=1):
        machine.start(name)
        wait_for(partial(machine.has_running, number))
    assert list(machine.running().values()) == [*machine.ids, machine.ids[0]]
    for name in "ab":
        machine.jobs[name].kill()
        machine.jobs[name].wait()
    machine.start("d")
    wait_for(lambda: "d" in machine.running())
    assert machine.running() == {"c": machine.ids[0], "d": machine.ids[1]}


def test_of_jobs_that_see_a_slot_free_at_once_one_has_it_and_the_next_goes_to_another_gpu(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_is_taken", lambda name: False)
    gpus = [Device(name, name) for name in machine.ids]
    assert [slots._take_one(gpus, 2) for _ in range(5)] == [*gpus, *gpus, None]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a job as another user")
def test_a_slot_is_taken_for_other_users_too(machine: Machine) -> None:
    machine.ids = machine.ids[:1]
    program = (
        "import os, sys; from workflow.launch.devices import Device; from workflow.launch.slots import hold_slot;"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534);"
        f"hold_slot([Device('{machine.ids[0]}', '{machine.ids[0]}')], 1); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        machine.start("ours")
        wait_for(lambda: machine.waiting() == {"ours"})
    wait_for(lambda: "ours" in machine.running())


def test_a_job_that_asks_for_no_gpu_sees_none_and_waits_for_none(machine: Machine) -> None:
    for name in "ab":
        machine.start(name)
    wait_for(lambda: machine.has_running(2))
    machine.start("cpu", gpu=0, CUDA_VISIBLE_DEVICES="0")
    wait_for(lambda: "cpu" in machine.running())
    assert machine.running()["cpu"] == ""


@pytest.mark.parametrize("given", [None, "", "-1"])
def test_where_there_is_no_gpu_nothing_is_changed(given: str | None, machine: Machine) -> None:
    machine.ids = []
    visible: dict[str, Any] = {} if given is None else {"CUDA_VISIBLE_DEVICES": given}
    for name in "abc":
        machine.start(name, **visible)
    wait_for(lambda: machine.has_running(3))
    assert machine.running() == dict.fromkeys("abc", given)


def test_the_users_own_choice_of_gpus_is_kept(machine: Machine) -> None:
    for name in "abc":
        machine.start(name, CUDA_VISIBLE_DEVICES=machine.ids[1])
    wait_for(lambda: len(machine.running()) == 1 and len(machine.waiting()) == 2)
    assert list(machine.running().values()) == machine.ids[1:]


def test_a_slurm_job_with_one_gpu_a_share_of_one_or_none_keeps_what_it_has(machine: Machine) -> None:
    job = uuid.uuid4().hex
    for name in "abc":
        machine.start(name, SLURM_JOB_ID=job, CUDA_VISIBLE_DEVICES="1")
    machine.start("share", gpu=0, SLURM_JOB_ID=job, CUDA_VISIBLE_DEVICES="1")
    machine.start("none", SLURM_JOB_ID=job)
    wait_for(lambda: machine.has_running(5))
    assert machine.running() == {**dict.fromkeys("abc", "1"), "share": "1", "none": None}


def test_in_a_slurm_job_with_several_gpus_each_has_one_job_whatever_other_slurm_jobs_do(machine: Machine) -> None:
    for job in (uuid.uuid4().hex, uuid.uuid4().hex):
        for name in "abc":
            machine.start(f"{job}{name}", SLURM_JOB_ID=job, CUDA_VISIBLE_DEVICES="0,1")
    wait_for(lambda: len(machine.running()) == 4 and len(machine.waiting()) == 2)
    assert Counter((name[:-1], gpu) for name, gpu in machine.running().items()).most_common(1)[0][1] == 1


@pytest.mark.slow
def test_under_snakemake_as_many_jobs_run_as_there_are_slots_each_on_a_gpu_of_its_own(machine: Machine) -> None:
    (machine.root / "job.py").write_text(JOB)
    (machine.root / "Snakefile").write_text(SNAKEFILE.format(python=sys.executable))
    environ = {**inherited(), "LSP_GPUS": ",".join(machine.ids), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "snakemake", "--cores", "8", "--quiet", "all"]
    workflow = machine.jobs["snakemake"] = subprocess.Popen(command, cwd=machine.root, env=environ)
    wait_for(lambda: len(list(machine.root.glob("*.gpu"))) == 2)
    assert {json.loads(path.read_text()) for path in machine.root.glob("*.gpu")} == set(machine.ids)
    (machine.root / "go").touch()
    assert workflow.wait(120) == 0
    check_spans(machine, jobs=6, at_most=1)
    assert {path.resolve().name for path in machine.root.glob("logs/?.log")} == {f"{n}.1.log" for n in range(6)}
