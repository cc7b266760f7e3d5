"""What of a plan's files is there: who makes and who reads each, and which are gone."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from stages.core.errors import ArtifactError
from stages.core.manifests import read_manifest
from workflow.planning.jobs import Job, Plan


@dataclass
class Files:
    """The files of a plan's jobs below `root`. status: of each that is there; its place is relative to the root."""

    plan: Plan
    root: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        self.jobs = list(self.plan.jobs())
        self.maker: dict[str, Job] = {}
        self.readers: dict[str, list[Job]] = {}
        self.status: dict[str, os.stat_result] = {}
        self._behind: dict[int, frozenset[str]] = {}
        for job in self.jobs:
            for path in job.stage.files.values():
                self._look(path.replace("{key}", job.key))
            for path in job.outputs().values():
                self.maker[path] = job
            for path in job.inputs.values():
                self.readers.setdefault(path, []).append(job)

    def _look(self, path: str) -> None:
        try:
            self.status[path] = os.stat(self.root / path)
        except OSError:
            return

    def is_there(self, path: str) -> bool:
        """Whether a planned file exists."""
        return path in self.status

    def is_done(self, job: Job) -> bool:
        """Whether all that Snakemake is told a job writes is there."""
        return all(path in self.status for path in job.outputs().values())

    def gone(self) -> list[str]:
        """Files that are absent although a job that is done read them; Snakemake alone would not make them again."""
        return [
            path
            for path in self.maker
            if path not in self.status and any(self.is_done(job) for job in self.readers.get(path, ()))
        ]

    def wanted(self) -> list[str]:
        """Those of the files that are gone that a job reads which is not done."""
        return [path for path in self.gone() if not all(map(self.is_done, self.readers[path]))]

    def gone_behind(self, job: Job) -> list[str]:
        """The files that are absent although what a job reads was made from them, in one step or several.

        Of a job that lacks what it reads itself the ones that its manifest names: it is not to be run for others.
        """
        if any(path in self.maker and path not in self.status for path in job.inputs.values()):
            try:
                return list(read_manifest(self.root / job.file("manifest"))["facts"]["gone"])
            except (ArtifactError, LookupError, TypeError):
                return []
        return sorted(self._gone_behind(job))

    def _gone_behind(self, job: Job) -> frozenset[str]:
        if id(job) not in self._behind:
            planned = [path for path in job.inputs.values() if path in self.maker and self.maker[path] is not job]
            gone = frozenset(path for path in planned if path not in self.status)
            there = (self.maker[path] for path in planned if path in self.status)
            self._behind[id(job)] = gone.union(*map(self._gone_behind, there))
        return self._behind[id(job)]
