"""The pictures of a report: of which checkpoints, with which neighbors, at which radii; a job for each data set."""

import json
from collections.abc import Iterable

from stages.core.config.pictures import CHECKPOINT, PicturesSettings
from stages.core.config.table_plan import Row
from stages.core.files import canonical_json, digest
from workflow.planning.certificates import radius
from workflow.planning.jobs import ClassifierJob, Job, Plan
from workflow.planning.runs import code_of
from workflow.planning.stages import PICTURES

Shown = dict[str, tuple[Row, ClassifierJob]]


def pictures(plan: Plan, rows: Iterable[tuple[Row, list[ClassifierJob]]]) -> None:
    """Plan the pictures of every data set that has a row without a variant."""
    for dataset, shown in _shown(plan.experiment.seeds[0], rows).items():
        job = _job(plan, dataset, dict(sorted(shown.items())))
        plan.pictures[job.key] = job


def arguments(job: Job) -> list[str]:
    """What the stage is told of the files that it reads."""
    named = {name: path for name, path in job.inputs.items() if not name.startswith(CHECKPOINT)}
    checkpoints = {name: path for name, path in job.inputs.items() if name not in named}
    return [
        *(word for name, path in named.items() for word in (f"--{name}", path)),
        "--checkpoints",
        *(f"{name.removeprefix(CHECKPOINT)}={path}" for name, path in checkpoints.items()),
    ]


def _shown(seed: int, rows: Iterable[tuple[Row, list[ClassifierJob]]]) -> dict[str, Shown]:
    """By data set and method the checkpoint of this seed, or where no row has it of the first seed that one has."""
    found: dict[str, Shown] = {}
    for row, jobs in rows:
        for job in jobs if not row.variant else ():
            shown = found.setdefault(row.dataset, {})
            if row.method not in shown or (job.seed == seed != shown[row.method][1].seed):
                shown[row.method] = row, job
    return found


def _job(plan: Plan, dataset: str, shown: Shown) -> Job:
    settings = PicturesSettings(epsilons={name: radius(plan.experiment, row) for name, (row, _) in shown.items()})
    jobs = {name: job for name, (_, job) in shown.items()}
    test = next(iter(jobs.values())).inputs["test"]
    data: Job = next(one for one in plan.data.values() if one.file("test") == test)
    inputs, made_from = {"train": data.file("train"), "test": test}, [data, *jobs.values()]
    if structure := _structure(plan, jobs.values()):
        inputs |= {"structure": structure.file("structure"), "neighbors": structure.inputs["neighbors"]}
        made_from.append(structure)
    inputs |= {CHECKPOINT + name: job.file("checkpoint") for name, job in jobs.items()}
    name = f"{dataset}-{digest([settings.identity(), inputs])}"
    code = digest([*(job.code for job in made_from), code_of(PICTURES.modules)], 16)
    return Job(PICTURES, name, canonical_json(settings.model_dump(mode="json")), code, inputs)


def _structure(plan: Plan, jobs: Iterable[ClassifierJob]) -> Job | None:
    """The monitor's structure; of several the one with fewest images held out. None: no method is trained here."""
    monitored = {job.inputs["monitor"] for job in jobs if "monitor" in job.inputs}
    found = [job for job in plan.structure.values() if job.file("structure") in monitored]
    return min(found, key=lambda job: (json.loads(job.settings)["held_out"], job.key), default=None)
