"""What is planned: every job of an experiment, by its kind and its name among its kind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from stages.core.config.needs import Needs
from stages.core.config.table_plan import Plan as TablePlan
from workflow.planning.experiment import Experiment
from workflow.planning.stages import DATA, STAGES, Stage


@dataclass(frozen=True)
class Job:
    """One job of a stage: its name, its settings as JSON, the chained digest of its code, and what it reads.

    components: the modules that it runs besides its stage's (an objective, attacks).
    """

    stage: Stage
    key: str
    settings: str
    code: str
    inputs: dict[str, str] = field(default_factory=dict)
    components: tuple[str, ...] = ()

    def file(self, name: str) -> str:
        """Where it writes one of its files."""
        return self.stage.file(name, self.key)

    def outputs(self) -> dict[str, str]:
        """The files that Snakemake is told of, by name."""
        return self.stage.outputs(self.key)

    @property
    def first(self) -> str:
        """The file that is there once it is done."""
        return self.file(next(iter(self.stage.files)))

    @property
    def modules(self) -> tuple[str, ...]:
        """Those whose import closures are the job's own code; its manifest holds their digest."""
        return (*self.stage.modules, *self.components)

    @property
    def folder(self) -> str:
        """Where its files lie."""
        return str(PurePosixPath(self.first).parent)

    @property
    def log(self) -> str:
        """Where it says what it does."""
        return self.stage.log(self.key)

    @property
    def resources(self) -> str:
        """The class of resources it asks for."""
        return self.stage.resources


@dataclass(frozen=True)
class DataJob(Job):
    """A data set's preparation, and the local folder that its files are read from: no setting, for they may move."""

    place: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ClassifierJob(Job):
    """What makes a checkpoint to attack, and what the tables say of it: a training run of one seed, or outside weights.

    selects: its manifest holds what the test images would have selected.
    """

    name: str = ""
    seed: int = 0
    selects: bool = False


@dataclass(frozen=True)
class Training:
    """All of a training run but its seed: what it is told and reads, and what its name is made of."""

    title: str
    settings: dict[str, Any]
    identity: tuple[str, ...]
    form: dict[str, Any]
    differences: list[str]
    code: str
    inputs: dict[str, str]
    components: tuple[str, ...]
    helper: str | None
    selects: bool


@dataclass(frozen=True)
class AttackJob(Job):
    """Attacks on one checkpoint that share a process, and the class of resources that such a job asks for."""

    asks: str = "attack"

    @property
    def resources(self) -> str:
        """`attack`, or `autoattack` for an attack that is alone."""
        return self.asks


@dataclass(frozen=True, kw_only=True)
class TableJob(Job):
    """What makes a table or a figure; its settings are the plan of it, packed for a command line."""

    plan: TablePlan


def prepared_by(makers: Mapping[str, Job], job: Job) -> Job:
    """What prepares the images that a job reads, or reads what is made of them; makers: a plan's."""
    while job.stage is not DATA:
        job = next(makers[path] for path in job.inputs.values() if path in makers)
    return job


def told(table: TablePlan) -> dict[str, Any]:
    """A plan as the tables stage is told of it, without what is left at its default."""
    return table.model_dump(mode="json", exclude_unset=True)


@dataclass
class Plan:
    """Every job of an experiment by its name among its kind; tables and the lists beside them by their own.

    needs: what the jobs ask of a data set's sizes, by the key of what prepares it.
    """

    experiment: Experiment
    needs: dict[str, Needs] = field(default_factory=dict)
    data: dict[str, DataJob] = field(default_factory=dict)
    pretrain: dict[str, Job] = field(default_factory=dict)
    embed: dict[str, Job] = field(default_factory=dict)
    index: dict[str, Job] = field(default_factory=dict)
    neighbors: dict[str, Job] = field(default_factory=dict)
    structure: dict[str, Job] = field(default_factory=dict)
    train: dict[str, ClassifierJob] = field(default_factory=dict)
    weights: dict[str, ClassifierJob] = field(default_factory=dict)
    attack: dict[str, AttackJob] = field(default_factory=dict)
    certify: dict[str, Job] = field(default_factory=dict)
    lipschitz: dict[str, Job] = field(default_factory=dict)
    pictures: dict[str, Job] = field(default_factory=dict)
    tables: dict[str, TableJob] = field(default_factory=dict)
    lists: dict[str, Job] = field(default_factory=dict)

    def makers(self) -> dict[str, Job]:
        """What makes each file, tables and lists left out."""
        jobs = [job for stage in STAGES for job in self.of(stage).values()]
        return {job.file(name): job for job in jobs for name in job.stage.files}

    def of(self, stage: Stage) -> Mapping[str, Job]:
        """The jobs of a stage that the tables rest on."""
        jobs: Mapping[str, Job] = getattr(self, stage.name)
        return jobs

    def jobs(self) -> Iterator[Job]:
        """Every job, none before one that it reads from."""
        for stage in STAGES:
            yield from self.of(stage).values()
        yield from self.tables.values()
        yield from self.lists.values()

    def copy(self) -> "Plan":
        """The same jobs, which stay when others are put in their place here."""
        of_stages: dict[str, Any] = {stage.name: dict(self.of(stage)) for stage in STAGES}
        return replace(self, **of_stages, tables=dict(self.tables), lists=dict(self.lists))

    def put(self, job: Job) -> None:
        """Put a job in the place of the one of its name."""
        if job.stage in STAGES:
            getattr(self, job.stage.name)[job.key] = job
        elif isinstance(job, TableJob):
            self.tables[job.plan.table] = job
        else:
            self.lists[job.key.rpartition("/")[2]] = job
