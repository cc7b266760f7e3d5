"""Where the report's links lead: files beside it that are there, as addresses relative to its own folder."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stages.core.job.progress import log_line
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
        self._manifests: dict[str, dict[str, Any] | None] = {}

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

    def manifest(self, path: str) -> dict[str, Any] | None:
        """What a job says of itself; None, and a line in the log, where that cannot be read."""
        if path not in self._manifests:
            self._manifests[path] = self._read(path)
        return self._manifests[path]

    def _read(self, path: str) -> dict[str, Any] | None:
        try:
            found = json.loads((self.root / path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            log_line(f"warning: {path}: no manifest ({type(error).__name__}: {error})")
            return None
        return found if isinstance(found, dict) else None


def of_job(files: Files, job: Made | None) -> tuple[Link, ...]:
    """Links to a job's manifest and log."""
    return () if job is None else (files.link("manifest", job.manifest), files.link("log", job.log))
