"""The tiny experiment as if every job had run: files that hold their names, and manifests that tell the truth."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from stages.core.code import code_digest
from stages.core.files import sha256_file, unpacked_json, write_text
from stages.core.manifests import write_manifest
from workflow.planning.jobs import Job, Plan
from workflow.planning.stages import STAGES
from workflow.verify.files import Files
from workflow.verify.judge import judge

WRITTEN_AT = 1_800_000_000  # seconds; a job a second
LATER = WRITTEN_AT + 86_400


def write_all(plan: Plan, root: Path) -> None:
    """Every job's files, in an order in which none comes before what it reads."""
    for place, job in enumerate(plan.jobs()):
        write(job, root, WRITTEN_AT + place)


def write(job: Job, root: Path, at: int, text: str = "") -> None:
    """A job's files, of the inputs that are there, at a time."""
    outputs = {name: path for name, path in job.outputs().items() if name != "manifest"}
    for path in outputs.values():
        write_text(root / path, text or path)
    inputs = {name: path for name, path in job.inputs.items() if path not in outputs.values()}
    hashes = {path: sha256_file(root / path) if (root / path).is_file() else None for path in inputs.values()}
    settings = json.loads(job.settings) if job.stage in STAGES else unpacked_json(job.settings)
    record = {
        "settings": settings,
        "inputs": {name: {"path": path, "sha256": hashes[path]} for name, path in inputs.items()},
        "outputs": {name: {"path": path, "sha256": sha256_file(root / path)} for name, path in outputs.items()},
        "code_digests": [code_digest(job.modules)],
        "facts": {},
    }
    write_manifest(root / job.file("manifest"), record)
    for path in (*outputs.values(), job.file("manifest")):
        os.utime(root / path, (at, at))


def hashes(paths: Iterable[str]) -> Mapping[str, str]:
    """SHA-256 by path."""
    return {path: sha256_file(Path(path)) for path in paths}


def listed(plan: Plan) -> dict[str, str]:
    """{file or job: kind} of all that is wrong."""
    return {one.what: one.kind for one in judge(Files(plan), hashes)}


def dates() -> dict[str, int]:
    """When each file below the working directory was written, in ns."""
    return {str(path): path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}


def change(path: str, at: float | None = None) -> None:
    """One bit of a file, its date as it was unless another is given."""
    status, content = Path(path).stat(), bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 1
    Path(path).write_bytes(content)
    os.utime(path, (at, at) if at else (status.st_atime, status.st_mtime))


def table(plan: Plan) -> Job:
    """One of the tables."""
    return plan.tables["table1"]
