"""The files behind the report: where its links lead, what jobs say of themselves, and what they took."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from stages.core.errors import ArtifactError
from stages.core.manifests import read_manifest
from stages.core.parquet import read_table
from stages.tables.report.read import Manifest, read
from stages.tables.report.told import Made, Report


@dataclass(frozen=True)
class Link:
    """A file: its path from the root, and its address, empty where it is not there."""

    name: str
    path: str
    address: str


class Files:
    """The files below a root, and the jobs that made them."""

    def __init__(self, report: Report, root: Path) -> None:
        self.root = root
        self._place = report.place
        self._jobs = {(job.stage, job.key): job for job in report.jobs}
        self._by_manifest = {job.manifest: job for job in report.jobs}
        self._manifests: dict[str, Manifest | None] = {}

    def link(self, name: str, path: str) -> Link:
        """A file to be named, and linked where it is there."""
        found = (self.root / path).is_file()
        return Link(name, path, quote(os.path.relpath(path, self._place)) if found else "")

    def job(self, stage: str, key: str) -> Made | None:
        """The job of that name, if the report is told of it."""
        return self._jobs.get((stage, key))

    def maker(self, manifest: str) -> Made | None:
        """The job that writes this manifest."""
        return self._by_manifest.get(manifest)

    def manifest(self, path: str) -> Manifest | None:
        """What a job says of itself; None where that cannot be read."""
        if path not in self._manifests:
            self._manifests[path] = read(self.root / path, Manifest, read_manifest)
        return self._manifests[path]

    def seconds(self, job: Made) -> float | None:
        """What a job took in all its attempts, as far as epochs and attacks tell; else in its last."""
        manifest = self.manifest(job.manifest)
        if manifest is None:
            return None
        attacks = sum(facts.seconds for facts in manifest.facts.attacks.values())
        return max(manifest.seconds, attacks, self._epochs(job.history))

    def _epochs(self, history: str | None) -> float:
        if history is None:
            return 0.0
        try:
            return float(pc.sum(read_table(self.root / history)["seconds"]).as_py() or 0)
        except (ArtifactError, KeyError, pa.ArrowException):  # the run's curves say so
            return 0.0


def of_job(files: Files, job: Made | None) -> tuple[Link, ...]:
    """Links to a job's manifest and log."""
    return () if job is None else (files.link("manifest", job.manifest), files.link("log", job.log))
