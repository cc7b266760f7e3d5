"""A tiny experiment, run once a session by Snakemake; each test that asks for `project` gets a copy elsewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded: the cores are shared by processes of tests

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "tests/workflow/tiny.yaml"
EXPERIMENTS = ROOT / "workflow/experiments"
PARTS = (".gitignore", "Snakefile", "config.yaml", "envs", "profiles", "stages", "workflow")


@dataclass(frozen=True)
class Project:
    """A checkout of the project that is free to be run, edited and broken."""

    root: Path

    def environment(self) -> dict[str, str]:
        """This process' environment, its Python's folder first on PATH."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; stderr comes with stdout."""
        return subprocess.run(
            words,
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def configfiles(self, overlay: str = "") -> list[str]:
        """--configfile with the tiny experiment, and over it an overlay given as YAML."""
        if not overlay:
            return ["--configfile", "tiny.yaml"]
        (self.root / "overlay.yaml").write_text(overlay)
        return ["--configfile", "tiny.yaml", "overlay.yaml"]

    def snakemake(self, *words: str, overlay: str = "") -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the tiny experiment."""
        return self.command("snakemake", "--cores", "2", *words, *self.configfiles(overlay))

    def refusal(self, overlay: str) -> str:
        """The line in which Snakemake ends on a wrong overlay, with status 1 and before any job."""
        done = self.snakemake(overlay=overlay)
        profile, *said = done.stdout.splitlines()
        assert profile.startswith("Using workflow specific profile")
        assert (done.returncode, len(said)) == (1, 1), done.stdout
        assert said[0].startswith("config error: ")
        assert not (self.root / "results").exists()
        return said[0]

    def planned(self, overlay: str = "") -> list[str]:
        """What a dry run would run, as `rule wildcard`; `all` is left out."""
        done = self.snakemake("-n", overlay=overlay)
        assert done.returncode == 0, done.stdout
        jobs = re.findall(r"^rule (\w+):\n(?: {4}.*\n)*? {4}wildcards: (.*)$", done.stdout, re.MULTILINE)
        assert len(jobs) > 0 or "Nothing to be done" in done.stdout, done.stdout
        return [f"{rule} {re.sub(r'[a-z]+=', '', wildcards).replace(', ', '/')}" for rule, wildcards in jobs]

    def counted(self, overlay: str = "") -> dict[str, int]:
        """{rule: planned jobs}."""
        return dict(Counter(job.split()[0] for job in self.planned(overlay)))

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace the one place in a file where `old` stands."""
        text = (self.root / path).read_text()
        assert text.count(old) == 1, f"{path}: {old!r} stands {text.count(old)} times"
        (self.root / path).write_text(text.replace(old, new))

    def append(self, path: str, text: str) -> None:
        """Add to the end of a file."""
        with (self.root / path).open("a") as stream:
            stream.write(text)

    def only(self, pattern: str) -> Path:
        """The one file below results/ that a pattern names."""
        (found,) = (self.root / "results").glob(pattern)
        return found

    def manifest(self, pattern: str) -> dict[str, Any]:
        """The one manifest below results/ that a pattern names."""
        loaded: dict[str, Any] = json.loads(self.only(pattern).read_text())
        return loaded


def checkout(root: Path) -> Project:
    """The project's own files and the tiny experiment, nothing that was made."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy2(ROOT / name, root / name)
    shutil.copy2(TINY, root / "tiny.yaml")
    return Project(root)


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project in which nothing was run."""
    return checkout(tmp_path / "fresh")


def made_once(factory: pytest.TempPathFactory, worker_id: str, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills when it is first asked for; processes that test side by side share it."""
    own = factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    with FileLock(shared / f"{name}.lock"):
        if not (shared / name).is_dir():
            make(shared / f"{name}-being-made")
            (shared / f"{name}-being-made").rename(shared / name)
    return shared / name


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Project:
    """The project after the tiny experiment; only to be read."""

    def make(folder: Path) -> None:
        done = checkout(folder / "project").snakemake()
        assert done.returncode == 0, done.stdout

    return Project(made_once(tmp_path_factory, worker_id, "finished", make) / "project")


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project in another place."""
    shutil.copytree(finished.root, tmp_path / "moved", symlinks=True)
    return Project(tmp_path / "moved")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--slurm`: every test on a real SLURM, not the quick one alone."""
    parser.addoption("--slurm", action="store_true", help="run all of tests/slurm; some ten minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what waits for the tiny experiment as slow, and give it time on a busy machine; the long ones come first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.get_closest_marker("long") is None)
    for item in items:
        on_slurm = "submit" in getattr(item, "fixturenames", ())
        if on_slurm or "finished" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(900))
        if on_slurm and not item.get_closest_marker("quick") and not config.getoption("--slurm"):
            item.add_marker(pytest.mark.skip(reason="takes minutes; `make test-slurm` runs it"))
