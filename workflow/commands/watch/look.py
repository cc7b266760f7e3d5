"""One look at every job of a plan: what its output, its log and its heartbeat say."""

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stages.core.errors import ArtifactError
from stages.core.manifests import read_manifest
from workflow.commands.watch.logs import Log, read_log
from workflow.commands.watch.said import Said, said
from workflow.planning.jobs import Job, Plan
from workflow.planning.stages import INDEX, LONG, NEIGHBORS, STAGES

STATES = ("done", "running", "silent", "stopped", "failed", "missing")
# A lease is renewed every 10 s, and NFS may show a date a minute late: as stages/core/job/lease.py has it.
SILENT = 120.0
SEED = re.compile(r"/seed\d+")


@dataclass(frozen=True)
class Seen:
    """A job at one look.

    done: its output is there; failed: its log ends in an error; stopped: it was told to stop, and has saved what a next
    attempt goes on from; missing: it has no log. Of the others running are those that gave a sign of life, a line or a
    heartbeat, within SILENT seconds. alive: when the last one was, in seconds since 1970.
    """

    stage: str
    job: Job
    state: str
    alive: float | None = None
    log: Log | None = None
    said: Said = field(default_factory=Said)


@dataclass(frozen=True)
class Left:
    """Of the jobs that take long, what is to go: job-seconds, the longest one's, and of how many nothing is known."""

    jobs: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    unknown: int = 0


@dataclass(frozen=True)
class Look:
    """All jobs by stage at a time `at`; begun: when the first one's newest attempt began. Seconds since 1970."""

    at: float
    stages: Mapping[str, list[Seen]]
    begun: float | None
    left: Left

    def of(self, *states: str) -> list[Seen]:
        """The jobs in these states."""
        return [seen for jobs in self.stages.values() for seen in jobs if seen.state in states]

    def count(self, state: str) -> int:
        """How many are in a state."""
        return len(self.of(state))

    @property
    def done(self) -> bool:
        """Whether every job is."""
        return self.count("done") == sum(map(len, self.stages.values()))

    @property
    def given_up(self) -> bool:
        """Whether a job failed and none has given a sign of life for SILENT seconds."""
        alive = [seen.alive for jobs in self.stages.values() for seen in jobs if seen.alive is not None]
        return self.count("failed") > 0 and self.at - max(alive) > SILENT


class Observer:
    """Looks at a plan's jobs below `root`, and keeps what cannot have changed since the last look."""

    def __init__(self, plan: Plan, root: Path = Path()) -> None:
        self.plan, self.root = plan, root
        self._logs: dict[str, tuple[tuple[int, int], Log]] = {}
        self._begun: dict[str, float | None] = {}
        self._took: dict[str, float | None] = {}

    def look(self, now: float) -> Look:
        """How all jobs stand; `now` in seconds since 1970."""
        stages = {
            stage.name: [
                self._with_index(self._seen(stage.name, job, now), now) for job in self.plan.of(stage).values()
            ]
            for stage in STAGES
            if stage is not INDEX  # a step to the neighbors
        }
        tables = [*self.plan.tables.values(), *self.plan.lists.values()]
        stages["tables"] = [self._seen("tables", job, now) for job in tables]
        stages = {name: jobs for name, jobs in stages.items() if jobs}
        everyone = [seen for jobs in stages.values() for seen in jobs]
        begun = [at for seen in everyone if (at := self._began(seen)) is not None]
        return Look(now, stages, min(begun, default=None), self._left(everyone, now))

    def _with_index(self, seen: Seen, now: float) -> Seen:
        """Of neighbors that are not begun, the index that they wait for, if it is under way or failed."""
        if seen.job.stage is not NEIGHBORS or seen.state != "missing":
            return seen
        index = self._seen(seen.stage, self.plan.index[seen.job.key], now)
        return seen if index.state in ("done", "missing") else index

    def _seen(self, stage: str, job: Job, now: float) -> Seen:
        try:
            made = (self.root / job.first).stat()
        except OSError:
            log = self._log(job)
        else:
            self._logs.pop(job.log, None)
            return Seen(stage, job, "done", made.st_mtime)
        if log is None:
            return Seen(stage, job, "missing")
        alive = max([log.modified, *self._heartbeats(job)])
        if log.failure:
            return Seen(stage, job, "failed", alive, log)
        stopped = bool(log.said) and log.said[-1].startswith("interrupted by ")
        state = "stopped" if stopped else "running" if now - alive <= SILENT else "silent"
        return Seen(stage, job, state, alive, log, said(job, log, now))

    def _log(self, job: Job) -> Log | None:
        path = self.root / job.log
        try:
            status = path.stat()
        except OSError:
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        if job.log not in self._logs or self._logs[job.log][0] != stamp:
            log = read_log(path)
            if log is None:
                return None
            self._logs[job.log] = (stamp, log)
        return self._logs[job.log][1]

    def _heartbeats(self, job: Job) -> Iterable[float]:
        """When the process that works on the job last renewed its lease, if it holds one."""
        if job.stage.resume:
            with contextlib.suppress(OSError):  # no lease, or given back at this moment
                for file in (self.root / job.stage.resumed(job.key) / "lease").iterdir():
                    yield file.stat().st_mtime

    def _began(self, seen: Seen) -> float | None:
        """When a job's newest attempt began; of one that is done the log's first line is read once."""
        if seen.log is not None:
            return seen.log.begun
        if seen.state == "done" and seen.job.log not in self._begun:
            log = read_log(self.root / seen.job.log, tail=0)
            self._begun[seen.job.log] = None if log is None else log.begun
        return self._begun.get(seen.job.log) if seen.state == "done" else None

    def _left(self, everyone: list[Seen], now: float) -> Left:
        """From the logs of those that run; else from what the same job took under other seeds."""
        took: dict[str, float] = {}
        for seen in everyone:
            seconds = self._seconds(seen.job) if seen.state == "done" and seen.job.stage in LONG else None
            if seconds is not None:  # of a job that was interrupted the last attempt's alone: the longest is the truest
                took[_alike(seen.job)] = max(seconds, took.get(_alike(seen.job), 0.0))
        to_go = []
        for seen in everyone:
            if seen.job.stage in LONG and seen.state not in ("done", "failed"):
                left, alike = seen.said.left, took.get(_alike(seen.job))
                if left is None and alike is not None:
                    begun = seen.log.begun if seen.log is not None and seen.state == "running" else None
                    left = max(0.0, alike - (now - begun if begun is not None else 0.0))
                to_go.append(left)
        known = [left for left in to_go if left is not None]
        return Left(len(to_go), sum(known), max(known, default=0.0), len(to_go) - len(known))

    def _seconds(self, job: Job) -> float | None:
        """What a job that is done took, by its manifest, which is read once."""
        manifest = job.file("manifest")
        if manifest not in self._took:
            self._took[manifest] = None
            with contextlib.suppress(ArtifactError, ValueError, KeyError, TypeError):
                self._took[manifest] = float(read_manifest(self.root / manifest)["seconds"])
        return self._took[manifest]


def _alike(job: Job) -> str:
    """One word for a job under all seeds."""
    return f"{job.stage.name} {SEED.sub('', job.key)}"
