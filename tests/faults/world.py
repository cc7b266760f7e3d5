"""A finished experiment with a job of every stage, and the commands that made it, as the workflow itself gives them."""

import contextlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path

import torch

from stages.core.artifacts import read_images
from stages.core.code import code_digest, source_file
from stages.core.images.pixels import to_unit
from tests.conftest import ROOT, TINY, Project, checkout
from tests.faults.forks import forked
from workflow.planning.jobs import Job, Plan
from workflow.planning.load import load_experiment
from workflow.planning.stages import STAGES
from workflow.planning.tables import make_plan

CONFIG = "faults.yaml"
NET = "from torch import nn\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 10))\n"
CORES = "2"
EVALUATE = (
    *("python", "-m", "workflow.commands.evaluate", "--checkpoint", "outside.pt", "--dataset", CONFIG),
    *("--architecture", "net.py:net", "--mean", "0", "0", "0", "--std", "1", "1", "1"),
    *("--epsilon", "0.1", "--images", "1", "--", "--cores", CORES),
)
EVALUATION = "results/evaluate/outside/experiment.yaml"


@dataclass(frozen=True)
class Command:
    """A planned job, and its stage's module and arguments as its rule gives them; run from a project's folder."""

    job: Job
    module: str
    words: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Its stage's name; an attack that is alone is of another kind than those that share a process."""
        return self.job.resources if self.job.resources == "autoattack" else self.job.stage.name

    @property
    def files(self) -> list[str]:
        """All that it writes, manifest and undeclared files too."""
        return [self.job.file(name) for name in self.job.stage.files]

    @property
    def resumed(self) -> str | None:
        """The folder of what a next attempt goes on from."""
        return self.job.stage.resumed(self.job.key) if self.job.stage.resume else None

    def run(self) -> None:
        """Do it in this process, whose working directory is a project's folder."""
        import_module(self.module).main(list(self.words))


@dataclass
class World:
    """`root`/project holds the finished experiment, made when it is first asked for; `root`/scratch what trials make.

    tiny: a project after the tiny experiment, to begin from; timed: seconds of commands that were run, by their logs.
    """

    root: Path
    tiny: Project | None = None
    timed: dict[str, float] = field(default_factory=dict)

    @cached_property
    def project(self) -> Project:
        """The finished experiment; only to be read."""
        project = Project(self.root / "project")
        if not project.root.is_dir():
            _make(project, self.tiny)
        return project

    @property
    def scratch(self) -> Path:
        """A folder on the same file system, open to every user."""
        folder = self.root / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self.root, folder):
            path.chmod(0o755)
        return folder

    @cached_property
    def plan(self) -> Plan:
        """The experiment's plan."""
        return planned(self.project.root)

    @cached_property
    def commands(self) -> dict[str, list[Command]]:
        """Commands by kind, in the order of the pipeline; their modules are loaded and their code's digests known."""
        done = self.project.command("snakemake", "-n", "-F", "-p", "--cores", CORES, "--configfile", CONFIG)
        told = [shlex.split(line) for line in done.stdout.splitlines() if " -m workflow.launch.job " in line]
        given = {words[words.index("--log") + 1]: words[words.index("--") + 1 :] for words in told}
        jobs = [job for stage in STAGES for job in self.plan.of(stage).values()]
        found: dict[str, list[Command]] = {}
        for job in (*jobs, *self.plan.tables.values(), *self.plan.lists.values()):
            _, _, stage, *words = given[job.log]
            module = f"{stage}.__main__" if source_file(f"{stage}.__main__") else stage
            command = Command(job, module, tuple(words))
            import_module(command.module)
            code_digest(job.modules)
            found.setdefault(command.kind, []).append(command)
        return found

    @contextlib.contextmanager
    def without(self, command: Command) -> Iterator[Path]:
        """A folder that holds the experiment but for what a command writes and saves; its files are links."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as name:
            folder = Path(name)
            folder.chmod(0o755)
            for path in ("net.py", "outside.pt"):
                os.link(self.project.root / path, folder / path)
            (folder / "logs").symlink_to(self.project.root / "logs")
            shutil.copytree(self.project.root / "results", folder / "results", copy_function=os.link)
            clear(folder, command)
            yield folder

    def seconds(self, command: Command) -> float:
        """How long the command takes in a child that nothing interrupts."""
        if command.job.log not in self.timed:
            with self.without(command) as folder:
                self.timed[command.job.log] = forked(command.run, folder).seconds
        return self.timed[command.job.log]

    @cached_property
    def evaluated(self) -> Project:
        """The experiment and an evaluation of its checkpoint from elsewhere; only to be read."""
        project = Project(self.root / "evaluated")
        if not project.root.is_dir():
            with self.copy(self.project) as copy:
                done = copy.command(*EVALUATE)
                if done.returncode:
                    raise RuntimeError(done.stdout)
                copy.root.rename(project.root)
        return project

    @contextlib.contextmanager
    def copy(self, of: Project) -> Iterator[Project]:
        """A copy of a whole project, free to be run and broken."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as name:
            shutil.copytree(of.root, Path(name) / "project", symlinks=True)
            yield Project(Path(name) / "project")


def planned(root: Path, config: str = CONFIG) -> Plan:
    """The plan of an experiment in a project's folder."""
    with contextlib.chdir(root):
        return make_plan(load_experiment([Path(config)], ROOT / "config.yaml"))


def clear(folder: Path, command: Command) -> None:
    """Remove what a command has written and saved."""
    for path in command.files:
        (folder / path).unlink(missing_ok=True)
    if command.resumed:
        shutil.rmtree(folder / command.resumed, ignore_errors=True)


def _make(project: Project, tiny: Project | None) -> None:
    """Run the experiment, from its beginning or from where the tiny one ends."""
    made = Project(project.root.with_name("being-made"))
    shutil.rmtree(made.root, ignore_errors=True)
    if tiny is None:
        checkout(made.root)
        _run(made, TINY.name)
    else:
        shutil.copytree(tiny.root, made.root, symlinks=True)
    shutil.copy2(ROOT / "tests/faults" / CONFIG, made.root / CONFIG)
    (made.root / "net.py").write_text(NET)
    torch.save(_fitted(made), made.root / "outside.pt")
    _run(made, CONFIG)
    made.root.rename(project.root)


def _run(project: Project, config: str) -> None:
    done = project.command("snakemake", "--cores", CORES, "--configfile", config)
    if done.returncode:
        raise RuntimeError(done.stdout)


def _fitted(project: Project) -> dict[str, torch.Tensor]:
    """A linear classifier of the digits, by least squares: weights from elsewhere that are better than chance."""
    train = read_images(project.only("data/digits-*/train.safetensors"))
    pixels = to_unit(train.images).flatten(1)
    kernel = pixels @ pixels.T + 10 * torch.eye(len(pixels))
    weight = (pixels.T @ torch.linalg.solve(kernel, torch.nn.functional.one_hot(train.labels, 10) - 0.1)).T
    return {"1.weight": 30 * weight, "1.bias": torch.zeros(10)}
