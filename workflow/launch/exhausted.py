"""A job that is killed for memory though it asked for the most that it may is not tried again.

Snakemake repeats a failed job as often as `retries` says, whatever it failed of, and each attempt waits in the queue
anew. What it failed of SLURM alone tells: by the job's state, or a line of its daemons in the job's own output. Where
neither can be had the job is repeated as before.
"""

import contextlib
import logging
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TIMES = 3  # what is asked at first grows with the attempt up to so many times
LAST_BYTES = 2**16
SECONDS_FOR_AN_ANSWER = 20
# slurmstepd: error: Detected 1 oom_kill event in …; srun: error: … Out Of Memory; slurmstepd-n1: error: StepId=1.0
# exceeded memory limit (…)
KILLED = re.compile(
    r"^(?:slurmstepd|slurmd|srun)\b.*(?:oom.?kill|out.of.memory|exceeded.*memory limit)", re.IGNORECASE | re.MULTILINE
)


class Exhausted(logging.Handler):
    """Hears of a Snakemake workflow's failed jobs before they are tried again.

    peaks: by a job's class of resources, the most megabytes that a finished job of it took, where that is known.
    """

    def __init__(self, workflow: Any, classes: dict[str, str], peaks: dict[str, int]) -> None:
        super().__init__(logging.ERROR)
        self.workflow, self.classes, self.peaks = workflow, classes, peaks

    def emit(self, record: logging.LogRecord) -> None:
        """Give a job up that was killed for memory and will not get more; anything else is none of ours."""
        if str(getattr(record, "event", "")) != "job_error":
            return
        # Should parts of Snakemake have other names one day, jobs are repeated as before.
        with contextlib.suppress(AttributeError, LookupError, TypeError):
            told: dict[str, Any] = vars(record)
            for job in [job for job in self.workflow.dag.jobs if self.workflow.dag.jobid(job) == told["jobid"]]:
                self._look(job, [*told["log"]], str(told["aux"].get("external_jobid", "")))

    def _look(self, job: Any, logs: list[str], slurm_job: str) -> None:
        repeated = self.workflow.dag.get_job_group(job) or job
        attempt, memory = repeated.attempt, job.rule.resources["mem_mb"]
        asked, next_time = (memory.evaluate(job.wildcards, attempt=number).value for number in (attempt, attempt + 1))
        if next_time != asked or attempt > repeated.restart_times or not told_killed(logs, slurm_job):
            return
        line = self._line(job, asked)
        for log in job.log:
            with contextlib.suppress(OSError), Path(str(log)).open("a", encoding="utf-8") as stream:
                stream.write(f"error: {line}\n")
        print(f"{job.rule.name} {job.wildcards}: {line}", file=sys.stderr)
        repeated.attempt = repeated.restart_times + 1

    def _line(self, job: Any, asked: Any) -> str:
        resources = self.classes.get(next(map(str, job.output)), job.rule.name)
        needed = f" (a finished one took {self.peaks[resources]})" if resources in self.peaks else ""
        return (
            f"killed for memory with {asked} MB, the most it asks for{needed}; it is not tried again: raise"
            f" resources.{resources}.mem_mb"
        )


def told_killed(logs: Iterable[str], slurm_job: str) -> bool:
    """Whether SLURM says that it, or the kernel, killed a job for memory."""
    for log in logs:
        with contextlib.suppress(OSError), Path(log).open("rb") as stream:
            stream.seek(max(0, Path(log).stat().st_size - LAST_BYTES))
            if KILLED.search(stream.read().decode("utf-8", "replace")):
                return True
    if not slurm_job:
        return False
    asked = ["scontrol", "-o", "show", "job", slurm_job]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=SECONDS_FOR_AN_ANSWER, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return "JobState=OUT_OF_MEMORY" in said
