"""A long job done once: one process at a time works on it, and what a process has finished is not done again.

When the main process is killed, its jobs run on. Started again, it asks for them anew, and Snakemake deletes a job's
outputs before it runs; so finished outputs are linked in the resume folder, at no cost in space while they exist. A
job that was asked for before they were finished, or before Snakemake can have noted them as such, takes them; one asked
for later, for instance by `snakemake -R train`, makes them anew.
"""

import argparse
import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from stages.core.errors import StageError
from stages.core.files import atomic, sha256_file, write_json
from stages.core.job.lease import leased
from stages.core.job.progress import log_line
from stages.core.job.stage import Job
from stages.core.refused import naming

SECONDS_TO_NOTE = 120.0  # Snakemake's own work after a job's command has ended, and how much clocks differ


def add_arguments(cli: argparse.ArgumentParser) -> None:
    """The arguments of a stage that may be interrupted: --resume and --planned-at."""
    cli.add_argument("--resume", type=Path, required=True, help="folder for what a next attempt goes on from")
    cli.add_argument(
        "--planned-at",
        type=float,
        default=float("inf"),
        help="seconds since 1970: outputs that another process finished since are taken (default: never)",
    )


def once(job: Job, resume: Path, planned_at: float, work: Callable[[], None]) -> None:
    """Do `work`, which writes the job's files, unless another process has since `planned_at`; then clear saved states.

    Files of another key are never taken. Waits while another process works in the folder `resume`.
    """
    key, outputs = job.key, job.files()
    with leased(resume):
        if _take(resume / "finished", key, outputs, planned_at):
            log_line("another process has finished this job; its outputs are taken")
        else:
            work()
            _keep(resume / "finished", key, outputs)
        with contextlib.suppress(OSError):  # a state that stays takes space, and harms no finished job
            for state in resume.glob("*.pt*"):  # with what a process killed while it saved left of one
                state.unlink()


def _keep(finished: Path, key: str, outputs: Mapping[str, Path]) -> None:
    """Link the outputs; where there is no room for that they are valid all the same."""
    shutil.rmtree(finished, ignore_errors=True)
    try:
        with naming(finished):
            finished.mkdir(exist_ok=True)
            for name, path in outputs.items():
                _link(path, finished / name)
            hashes = {name: sha256_file(path) for name, path in outputs.items()}
            write_json(finished / "record.json", {"key": key, "finished_at": time.time(), "outputs": hashes})
    except StageError as error:
        log_line(f"warning: {error}; the outputs are whole, and made again if Snakemake is killed before it notes them")


def _take(finished: Path, key: str, outputs: Mapping[str, Path], planned_at: float) -> bool:
    try:
        record = json.loads((finished / "record.json").read_text(encoding="utf-8"))
        if record["key"] != key or record["finished_at"] < planned_at - SECONDS_TO_NOTE:
            return False
        if any(sha256_file(finished / name) != record["outputs"][name] for name in outputs):
            return False
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # nothing there, or damaged
        return False
    for name, path in outputs.items():
        _link(finished / name, path)
    return True


def _link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy where the file system has no such links, at one stroke."""
    with atomic(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
