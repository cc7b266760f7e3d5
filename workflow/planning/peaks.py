"""The memory that an experiment's finished jobs took, which the next ones of their kind will need too."""

from pathlib import Path

from stages.core.errors import ArtifactError
from stages.core.manifests import read_manifest
from workflow.planning.experiment import Experiment, Resources
from workflow.planning.jobs import Job, Plan
from workflow.planning.stages import STAGES

READ = 50  # manifests of a class of resources, spread over its jobs; those of thousands of seeds say the same
SPARE = 1.2  # of the most that was seen
SNAKEMAKE = 350  # MB of Snakemake's own processes in a SLURM job: 170 to 350 were seen


def peaks(plan: Plan, root: Path = Path()) -> dict[str, int]:
    """The most megabytes of the machine's memory that a finished job took, by its class of resources."""
    classes: dict[str, list[Job]] = {}
    for stage in STAGES:
        for job in plan.of(stage).values():
            classes.setdefault(job.resources, []).append(job)
    found = {}
    for name, jobs in classes.items():
        seen = [peak for job in jobs[:: 1 + len(jobs) // READ] if (peak := peak_of(job, root)) is not None]
        if seen:
            found[name] = max(seen)
    return found


def peak_of(job: Job, root: Path) -> int | None:
    """The megabytes of the machine's memory that a job took; None for one that is not done or does not tell."""
    try:
        record = read_manifest(root / job.file("manifest"))
        return round(record["peak_memory_bytes"]["host"] / 1e6)
    except (ArtifactError, ValueError, KeyError, TypeError):
        return None


def asked(experiment: Experiment, name: str, peak: int | None) -> Resources:
    """What a class of jobs asks for: as the experiment says, else by default, but what a finished one took with room.

    peak: in megabytes; None where none is finished.
    """
    resources = experiment.stage_resources(name)
    if peak is None or (name in experiment.resources and "mem_mb" in experiment.resources[name].model_fields_set):
        return resources
    return resources.model_copy(update={"mem_mb": max(resources.mem_mb, round(SPARE * peak) + SNAKEMAKE)})
