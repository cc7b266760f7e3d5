"""The tiny experiment on a real SLURM: a reference made without it, a cluster, and projects to run there."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import Project, checkout
from tests.slurm import cluster as slurm
from tests.slurm.cluster import Cluster
from tests.slurm.processes import Process

HERE = Path(__file__).parent
OVERLAY = (HERE / "slurm.yaml").read_text()
PLENTY = 64_000  # MB; nothing counts them without SLURM
AROUND, SPARE = 2, 100  # Snakemakes around a job of SLURM's, and megabytes to spare
MEASURE = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=2, check=True)\n"
MEASURE += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
PROFILES = ("--workflow-profile", "workflow/profiles/slurm", "--profile", str(HERE / "site"))
LSP = "train/digits/lsp-*/seed0"


def overlay_with(memory: int) -> str:
    """The overlay with so many megabytes for every job."""
    return OVERLAY.replace("MEMORY", str(memory))


def needed(done: Project) -> int:
    """Megabytes that a job needs here: the most that one took without SLURM, and the Snakemakes around it."""
    paths = [
        path
        for stage in ("data", "features", "neighbors", "train", "attack")
        for path in (done.root / "results" / stage).rglob("*.json")
    ]
    records = [json.loads(path.read_text()) for path in paths]
    jobs = max(record["peak_memory_bytes"]["host"] for record in records if "peak_memory_bytes" in record) / 1e6
    dry = ["snakemake", "-n", "--cores", "1", "--quiet", "all", *done.configfiles(overlay_with(PLENTY))]
    told = done.command(sys.executable, "-c", MEASURE, *dry).stdout.splitlines()[-1]
    return round(jobs + AROUND * int(told) * 1024 / 1e6) + SPARE


@dataclass
class Submitted:
    """A project whose jobs go to SLURM, and the main process of Snakemake there; needed: megabytes of each of them."""

    project: Project
    cluster: Cluster
    reference: dict[str, bytes]
    overlay: str
    needed: int
    main: subprocess.Popen[str] | None = None
    mains: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.project.root

    def forget(self, *patterns: str) -> None:
        """Delete results, and the tables with them."""
        found = {pattern: list((self.root / "results").glob(pattern)) for pattern in (*patterns, "tables")}
        assert all(found.values()), found
        for path in {path for paths in found.values() for path in paths}:
            shutil.rmtree(path)
        for folder in ("logs", "results/resume"):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def start(self, *words: str) -> None:
        """Start Snakemake with the workflow's SLURM profile and a user's."""
        number = len(self.mains) + 1
        with (self.root / f"main{number}.log").open("w") as log:
            self.main = subprocess.Popen(
                ["snakemake", *PROFILES, *words, *self.project.configfiles(self.overlay)],
                cwd=self.root,
                env=self.project.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.mains.append(self.main)

    def finish(self, seconds: float = 400) -> str:
        """Wait for the main process; what it said, once the tables are those of the run without SLURM."""
        assert self.main is not None
        status = self.main.wait(seconds)
        said = (self.root / f"main{len(self.mains)}.log").read_text()
        assert status == 0, said[-8000:] + self.logs()
        assert tables(self.project) == self.reference
        return said

    def logs(self) -> str:
        """Every attempt's log, for a message."""
        paths = sorted((self.root / "logs").rglob("*.[0-9].log"))
        return "\n".join(f"--- {path}\n{path.read_text()[-1500:]}" for path in paths)

    def attempts(self, pattern: str) -> list[str]:
        """The logs of a job's attempts in their order; `pattern` names the log without its number: train/…/seed0."""
        found = sorted((self.root / "logs").glob(f"{pattern}.[0-9].log"))
        return [path.read_text() for path in found]

    def stage(self, words: str = "stages.train") -> tuple[str, Process]:
        """The running job of a stage, its SLURM id and its process."""

        def running() -> tuple[str, Process] | None:
            for job in self.cluster.jobs():
                for process in (
                    self.cluster.processes(job["raw_id"], f"-m {words} ") if job["state"] == "RUNNING" else []
                ):
                    if process.words[1:3] == ("-m", words):
                        return job["raw_id"], process
            return None

        found = self.cluster.wait(running, f"a running job of {words}", 120)
        assert found is not None
        return found

    def in_epoch(self, epoch: int, pattern: str = LSP) -> tuple[str, Process]:
        """The running training job once its log tells the end of an epoch."""
        found = self.stage()
        told = re.compile(rf"^epoch {epoch}/", re.MULTILINE)
        self.cluster.wait(
            lambda: any(told.search(log) for log in self.attempts(pattern)), f"the end of epoch {epoch}", 120
        )
        return found

    def epochs(self, pattern: str = LSP) -> list[int]:
        """Every epoch that was finished, attempt after attempt."""
        return [int(n) for log in self.attempts(pattern) for n in re.findall(r"^epoch (\d+)/\d+: ", log, re.MULTILINE)]

    def end(self) -> None:
        """End what still runs."""
        for main in self.mains:
            if main.poll() is None:
                main.send_signal(signal.SIGKILL)
                main.wait()
        self.cluster.ask("scontrol", "update", "nodename=n1", "state=resume", check=False)
        self.cluster.ask("scancel", "--me", check=False)
        self.cluster.wait(lambda: not self.cluster.ask("squeue", "-h"), "an empty queue", 60)


def tables(project: Project) -> dict[str, bytes]:
    """The tables' files, without the manifests that tell seconds and machine."""
    folder = project.root / "results/tables/tiny"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".csv", ".tex", ".txt")}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real SLURM while the session runs; without one, a skip says why."""
    if os.geteuid() != 0:
        pytest.skip("a SLURM of its own needs root")
    if slurm.missing():
        pytest.skip(f"{', '.join(slurm.missing())} not installed; `make test-slurm` installs SLURM")
    if os.path.lexists(slurm.LINK) and slurm.current() is None:
        pytest.skip(f"{slurm.LINK} is another cluster's")
    with slurm.running(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project after a run without SLURM; only to be read."""
    made = checkout(tmp_path_factory.mktemp("local") / "project")
    done = made.snakemake(overlay=overlay_with(PLENTY))
    assert done.returncode == 0, done.stdout
    return made


@pytest.fixture(scope="session")
def memory(local: Project) -> int:
    """Megabytes that a job needs on this machine."""
    return needed(local)


@pytest.fixture
def submit(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Submitted]]:
    """Make a project to run on the cluster: a copy of a finished one, without what is named; alone: without overlay."""
    made: list[Submitted] = []

    def prepare(done: Project, *forgotten: str, alone: bool = False) -> Submitted:
        memory = 0 if alone else request.getfixturevalue("memory")
        overlay = "" if alone else overlay_with(memory)
        root = tmp_path / "project"
        shutil.copytree(done.root, root, symlinks=True)
        made.append(Submitted(Project(root), cluster, tables(done), overlay, memory))
        made[-1].forget(*forgotten)
        return made[-1]

    yield prepare
    for submitted in made:
        submitted.end()
