"""Which files of a plan are damaged, missing or stale: files held against manifests, manifests against the plan."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from stages.core.code import code_digest
from stages.core.errors import ArtifactError
from stages.core.files import unpacked_json
from stages.core.manifests import read_manifest
from workflow.planning.jobs import Job, Plan
from workflow.planning.stages import STAGES
from workflow.verify.files import Files

NEEDED = ("settings", "inputs", "outputs", "code_digests")
OTHER_CODE = "made by other code"
Hashes = Callable[[Iterable[str]], Mapping[str, str | None]]


@dataclass(frozen=True, eq=False)
class PlannedJob:
    """A planned job and what users know it by."""

    name: str
    job: Job

    @property
    def manifest(self) -> str:
        """Where its manifest lies."""
        return self.job.file("manifest")

    @property
    def plan(self) -> dict[str, Any]:
        """The plan of a table or a list; empty for a run, whose folder's name says it."""
        return {} if self.job.stage in STAGES else unpacked_json(self.job.settings)


def planned_jobs(plan: Plan) -> Iterator[PlannedJob]:
    """Every planned job, none before one that it reads from."""
    for stage in STAGES:
        for key, job in plan.of(stage).items():
            yield PlannedJob(f"{stage.name} {key}", job)
    for name, table in plan.tables.items():
        yield PlannedJob(f"table {name}", table)
    for name, listed in plan.lists.items():
        yield PlannedJob(name, listed)


@dataclass(frozen=True)
class Found:
    """What is wrong with a file, or for stale ones with a job: `what` is its path or its name; why: in words."""

    kind: Literal["damaged", "missing", "stale"]
    what: str
    why: str
    job: Job


def judge(files: Files, hashes: Hashes) -> list[Found]:
    """All that is wrong with the files of a plan. hashes: of some paths, None for one that cannot be read."""
    jobs = list(planned_jobs(files.plan))
    records: dict[str, dict[str, Any]] = {}
    found: list[Found] = []
    for planned in jobs:
        if files.is_there(planned.manifest):
            try:
                records[planned.manifest] = read_whole(files.root / planned.manifest)
            except ArtifactError as error:
                found.append(Found("damaged", planned.manifest, _reason(error, planned.manifest), planned.job))
    told = {path: _outputs(path, record) for path, record in records.items()}
    written = {path: sha for outputs in told.values() for path, sha in outputs.items()}
    actual = hashes(path for path in written if (files.root / path).is_file())
    gone = set(files.gone())
    for planned in jobs:
        outputs = told.get(planned.manifest, {})
        found += [
            Found("damaged", path, "differs from its manifest", planned.job)
            for path, sha in outputs.items()
            if path in actual and actual[path] != sha
        ]
        found += [Found("missing", path, why, planned.job) for path, why in _missing(files, planned, outputs, gone)]
        record = records.get(planned.manifest)
        if record is not None and (why := stale(planned, record, written) or _told_of_gone(files, planned, record)):
            found.append(Found("stale", planned.name, why, planned.job))
    return found


def stale(planned: PlannedJob, record: Mapping[str, Any], written: Mapping[str, str | None]) -> str:
    """Why a job's outputs are not what it would write now; '' if they are. written: hashes by the manifests of others.

    A file whose hash is None, and a manifest, which changes when it is accepted, may be any.
    """
    if why := other_inputs(record, written):
        return why
    if not _holds(record["settings"], planned.plan):
        return "its plan has changed"
    if code_digest(planned.job.modules) not in record["code_digests"]:
        return OTHER_CODE
    return ""


def _told_of_gone(files: Files, planned: PlannedJob, record: Mapping[str, Any]) -> str:
    """Whether a table's note still names files that are there again: `make tables` writes one without Snakemake."""
    gone = record.get("facts", {}).get("gone")
    return (
        "its note names files that are there; `make tables` writes it anew"
        if gone and not files.gone_behind(planned.job)
        else ""
    )


def is_current(files: Files, job: Job) -> bool:
    """Whether a job's manifest is there and says that its outputs are those of the present code."""
    try:
        return code_digest(job.modules) in read_whole(files.root / job.file("manifest"))["code_digests"]
    except ArtifactError:
        return False


def read_whole(path: Path) -> dict[str, Any]:
    """A manifest that tells what its job was told, read and wrote; ArtifactError for any other."""
    record = read_manifest(path)
    if lacking := [key for key in NEEDED if key not in record]:
        raise ArtifactError(f"{path}: has no key '{lacking[0]}'; have the stage that wrote it make it again")
    return record


def other_inputs(record: Mapping[str, Any], written: Mapping[str, str | None]) -> str:
    """Why a job's inputs are not those that are there, by the manifests of the jobs that write them; '' if they are."""
    for entry in record["inputs"].values():
        path = entry["path"]
        if written.get(path) not in (None, entry["sha256"]):
            return f"made from another {path}" if entry["sha256"] else f"made while {path} was missing"
    return ""


def _missing(
    files: Files, planned: PlannedJob, outputs: Mapping[str, str], gone: set[str]
) -> Iterator[tuple[str, str]]:
    declared = planned.job.outputs().values()
    for path in dict.fromkeys([*outputs, *declared, planned.manifest]):
        if (files.root / path).is_file():
            continue
        if path in outputs:
            yield path, "its manifest names it"
        elif path in gone:
            yield path, "finished results rest on it"
        elif path == planned.manifest and any(map(files.is_there, declared)):
            yield path, "what it tells of is there"


def made_from_others(files: Files) -> list[str]:
    """The jobs that are done and were made from other files than those that are there, by manifests alone."""
    records = {
        planned: record for planned in planned_jobs(files.plan) if (record := _record(files, planned)) is not None
    }
    written = {
        path: sha for planned, record in records.items() for path, sha in _outputs(planned.manifest, record).items()
    }
    return [planned.name for planned, record in records.items() if other_inputs(record, written)]


def _record(files: Files, planned: PlannedJob) -> dict[str, Any] | None:
    try:
        return read_whole(files.root / planned.manifest)
    except ArtifactError:
        return None


def _outputs(manifest: str, record: Mapping[str, Any]) -> dict[str, str]:
    """The hash of each output by its path: beside the manifest, wherever that was moved to."""
    folder, outputs = PurePosixPath(manifest).parent, record["outputs"].values()
    return {str(folder / PurePosixPath(output["path"]).name): output["sha256"] for output in outputs}


def _holds(recorded: Any, planned: Any) -> bool:
    """Whether a recorded value, in which defaults are filled in, says all that the planned one says."""
    if isinstance(planned, dict) and isinstance(recorded, dict):
        return all(key in recorded and _holds(recorded[key], value) for key, value in planned.items())
    if isinstance(planned, list) and isinstance(recorded, list):
        return len(planned) == len(recorded) and all(map(_holds, recorded, planned))
    return bool(recorded == planned)


def _reason(error: ArtifactError, path: str) -> str:
    return str(error).partition(f"{path}: ")[2].partition(";")[0]
