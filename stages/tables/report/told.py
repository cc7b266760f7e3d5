"""What the report is told: the plans of the tables, and where every file that it reads or names lies."""

from pydantic import Field, model_validator

from stages.core.config.quantities import CountOrZero
from stages.core.config.section import Name, Section
from stages.core.config.table_plan import Plan
from stages.tables.certificates import Listed


class Made(Section):
    """A job of the experiment: what it makes, what it says of itself, and what it said while it ran."""

    stage: Name
    key: str = Field(description="its name among its kind; of a training run DATASET/RUN/seedN")
    manifest: str
    log: str
    history: str | None = Field(None, description="Parquet file with one line an epoch, of what trains")


class Report(Section):
    """An experiment as its report shows it; every path is relative to the root that the stage is given."""

    experiment: str
    title: str = ""
    note: str = Field("", description="what its numbers can and cannot show")
    seeds: CountOrZero = Field(description="how many")
    command: str = Field("", description="what runs it")
    place: str = Field(description="the folder of the tables and of this report, which its links start from")
    plans: tuple[Plan, ...] = Field(min_length=1)
    claims: str | None = Field(None, description="claims.json; null: none")
    assumptions: str | None = Field(None, description="assumptions.md; null: none")
    certificates: tuple[Listed, ...] = ()
    lipschitz: str | None = Field(None, description="lipschitz.json; null: none")
    pictures: tuple[str, ...] = Field((), description="pictures.json of each data set; never in what is published")
    jobs: tuple[Made, ...] = ()

    @model_validator(mode="after")
    def _unambiguous(self) -> "Report":
        keys = [(job.stage, job.key) for job in self.jobs]
        if twice := sorted({key for key in keys if keys.count(key) > 1} if len(set(keys)) < len(keys) else ()):
            raise ValueError(f"job '{twice[0][1]}' of {twice[0][0]} stands twice; name it once")
        return self

    def files(self) -> list[str]:
        """Every file that it reads, each once."""
        read = [path for plan in self.plans for path in plan.files()]
        read += [path for path in (self.claims, self.assumptions, self.lipschitz) if path]
        read += [run.history for plan in self.plans for row in plan.rows for run in row.runs if run.history]
        read += [*self.pictures, *(one.path for one in self.certificates)]
        read += [path for job in self.jobs for path in (job.manifest, job.history) if path]
        return list(dict.fromkeys(read))
