"""A made-up experiment under way: logs, heartbeats and outputs of a plan's jobs, none of which ran."""

import io
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from workflow.commands.watch.look import Look, Observer, Seen
from workflow.commands.watch.view import frame
from workflow.planning.jobs import Job, Plan
from workflow.planning.stages import STAGES

NOW = 1_800_000_000.0
EPOCHS = "epoch 1/10: loss 2.3000, clean_accuracy 0.2500, robust_accuracy 0.1000, lsp_loss 0.0412, 30.0 s\n"


@dataclass
class Made:
    """A made-up state of a plan's jobs below `root`."""

    plan: Plan
    root: Path

    def log(self, job: Job, text: str, age: float = 0.0, begun: float = NOW - 600) -> None:
        """A log with the attempt's first line, grown for the last time `age` seconds before NOW."""
        path = self.root / job.log
        path.parent.mkdir(parents=True, exist_ok=True)
        started = datetime.fromtimestamp(begun, UTC).isoformat(timespec="seconds")
        path.write_text(f"attempt 1 on node7, GPU 3, SLURM job 81, {started}, 1 thread\n{text}")
        os.utime(path, (NOW - age, NOW - age))

    def heartbeat(self, job: Job, age: float) -> None:
        """A lease on the job's folder, renewed for the last time `age` seconds before NOW."""
        held = self.root / job.stage.resumed(job.key) / "lease/0a.json"
        held.parent.mkdir(parents=True)
        held.write_text("{}")
        os.utime(held, (NOW - age, NOW - age))

    def finish(self, *jobs: Job, seconds: float = 60.0) -> None:
        """Output and manifest of jobs, and their logs."""
        for job in jobs:
            self.log(job, "")
            (self.root / job.folder).mkdir(parents=True, exist_ok=True)
            for name in dict.fromkeys((next(iter(job.stage.files)), "manifest")):
                (self.root / job.file(name)).write_text(json.dumps({"seconds": seconds}))
                os.utime(self.root / job.file(name), (NOW, NOW))

    def finish_all(self) -> None:
        """Every job."""
        self.finish(*(job for stage in STAGES for job in self.plan.of(stage).values()))
        self.finish(*self.plan.tables.values(), *self.plan.lists.values())

    def look(self) -> Look:
        """A first look."""
        return Observer(self.plan, self.root).look(NOW)

    def seen(self, job: Job) -> Seen:
        """A job at a first look."""
        (found,) = [seen for jobs in self.look().stages.values() for seen in jobs if seen.job is job]
        return found

    def shown(self, width: int = 80, height: int = 50) -> str:
        """A frame of a terminal as text."""
        console = Console(record=True, width=width, height=height, force_terminal=True, file=io.StringIO())
        console.print(frame(self.plan.experiment.place, self.look(), width, height))
        return console.export_text()


def first(jobs: object) -> Job:
    """The first of some jobs by their names."""
    assert isinstance(jobs, dict)
    found = next(iter(jobs.values()))
    assert isinstance(found, Job)
    return found
