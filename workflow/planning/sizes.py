"""The sizes of a plan's data sets, as far as they are known, and the refusal of a plan that asks for more."""

from pathlib import Path

from stages.core.config.known import Known, known, measured
from stages.core.errors import ArtifactError, ConfigError
from stages.core.manifests import read_manifest
from workflow.planning.jobs import Job, Plan
from workflow.planning.stages import RESULTS, in_folder


def sizes(plan: Plan, data: Job, results: Path = Path(RESULTS)) -> Known:
    """What is known of a data set: counted where its images are prepared, else what its config and source say."""
    declared = known(plan.experiment.datasets[dataset_of(data)].data)
    try:
        return measured(read_manifest(in_folder(results, data.file("manifest")))["facts"]).over(declared)
    except (ArtifactError, ValueError, KeyError, TypeError, AttributeError):  # not prepared yet, or damaged
        return declared


def dataset_of(data: Job) -> str:
    """The key of the data set that a job prepares."""
    return data.key.rpartition("-")[0]


def refuse_what_cannot_be(plan: Plan, results: Path) -> None:
    """ConfigError where jobs ask of a data set what it does not have: the first such line, and how many there are."""
    lines = [line for key, needs in plan.needs.items() for line in needs.unmet(sizes(plan, plan.data[key], results))]
    if lines:
        raise ConfigError(lines[0] + (f" ({len(lines) - 1} more like it)" if len(lines) > 1 else ""))
