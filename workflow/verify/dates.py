"""Files whose dates say that they changed after their manifest was written: compared with it before any job runs.

Snakemake takes a newer input for another and deletes the outputs of the jobs that read it, so a damaged file has to be
found before. What agrees (a copy, a `touch`) gets the date of its manifest, so that it is read once: that is the
oldest date of its job's outputs, which Snakemake compares with those of the inputs, and it stays. Only where Snakemake
is not told of the manifest, that one gets the date of the output.
"""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stages.core.errors import ArtifactError
from stages.core.files import sha256_file
from stages.core.manifests import read_manifest
from workflow.planning.jobs import Job
from workflow.verify.files import Files

SLOW = 60 * 10**9  # ns; a manifest is written once its job's outputs are hashed, so no later than that


def differing(files: Files) -> list[str]:
    """The files that changed since they were written and differ from their manifests; dates of others are set back."""
    doubtful = [job for job in files.jobs if _is_doubtful(files, job)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [path for found in pool.map(lambda job: _differing(files, job), doubtful) for path in found]


def _outputs(files: Files, job: Job) -> dict[str, int]:
    """When each output was written, in ns."""
    paths = (job.file(name) for name in job.stage.files if name != "manifest")
    return {path: files.status[path].st_mtime_ns for path in paths if files.is_there(path)}


def _is_doubtful(files: Files, job: Job) -> bool:
    manifest, outputs = job.file("manifest"), _outputs(files, job)
    if not files.is_there(manifest) or not outputs:
        return False
    newest = max(outputs.values())
    return not newest <= files.status[manifest].st_mtime_ns <= newest + SLOW


def _differing(files: Files, job: Job) -> list[str]:
    path, outputs = job.file("manifest"), _outputs(files, job)
    try:
        told = {
            Path(entry["path"]).name: entry["sha256"] for entry in read_manifest(files.root / path)["outputs"].values()
        }
    except (ArtifactError, LookupError, TypeError, AttributeError):
        return [path]
    written = files.status[path].st_mtime_ns
    newer = [output for output, date in outputs.items() if date > written and Path(output).name in told]
    found = [output for output in newer if sha256_file(files.root / output) != told[Path(output).name]]
    if not found and newer and "manifest" in job.outputs():
        for output in newer:
            _set_date(files.root / output, written)
    elif not found:
        _set_date(files.root / path, max(outputs.values()))
    return found


def _set_date(path: Path, date: int) -> None:
    with contextlib.suppress(OSError):  # another user's: it is compared again next time
        os.utime(path, ns=(path.stat().st_atime_ns, date))
