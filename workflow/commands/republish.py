"""`python -m workflow.commands.republish [--check]`: make the published tables again from their outcomes alone.

With --check nothing is written: every CSV, LaTeX and text file, claims.json and lipschitz.json must come out byte for
byte as they are committed.
"""

import argparse
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from threading import Lock

from stages.core.errors import ArtifactError
from stages.core.files import packed_json
from workflow.commands.cli import ROOT, run

COMPARED = (".csv", ".tex", ".txt", ".md", ".html")
ASSUMPTIONS, CERTIFICATES, CLAIMS, LIPSCHITZ, REPORT = "assumptions", "certificates", "claims", "lipschitz", "report"
LISTS = (ASSUMPTIONS, CERTIFICATES, CLAIMS, LIPSCHITZ, REPORT)
PROCESSES = get_context("forkserver")  # whose processes begin with what takes most of a table's time, loaded once
PROCESSES.set_forkserver_preload(["matplotlib.figure", "pandas", "scipy.stats", "stages.core.job.stage"])
BOOKS = Lock()  # of processes that have ended: each is read once, by whichever thread starts or joins one


@dataclass(frozen=True)
class Job:
    """What makes one table, figure or list: its name, its stage, that stage's --settings, and how its manifest ends."""

    name: str
    stage: str
    settings: str
    ending: str = ".json"


def main(argv: list[str] | None = None) -> None:
    """Regenerate, or check, every experiment below results/published/."""
    cli = argparse.ArgumentParser(prog="python -m workflow.commands.republish", description=__doc__)
    cli.add_argument("--check", action="store_true", help="compare with what is committed and write nothing")
    check = cli.parse_args(argv).check
    for folder in sorted(path.parent for path in (ROOT / "results/published").glob("*/plans")):
        (check_made if check else make)(folder)


def make(folder: Path) -> None:
    """Make the tables of a published experiment from the plans and outcomes in its folder."""

    def one(job: Job) -> None:
        _make(job, folder, folder / "tables")

    _all(folder, one, "made")


def check_made(folder: Path) -> None:
    """Raise ArtifactError unless the outcomes give the tables in the folder, byte for byte."""

    def one(job: Job) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            _make(job, folder, Path(scratch))
            _compare(Path(scratch), folder / "tables")

    _all(folder, one, "as committed")


def _all(folder: Path, one: Callable[[Job], None], done: str) -> None:
    """Do the jobs of a folder side by side, for each is a process of its own; the report last, which reads lists."""
    jobs = list(_jobs(folder))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for together in ([job for job in jobs if job.name != REPORT], [job for job in jobs if job.name == REPORT]):
            for job, _ in zip(together, pool.map(one, together), strict=True):
                print(f"{folder.name}/{job.name}: {done}")


def _jobs(folder: Path) -> Iterator[Job]:
    """Of every table and figure, the pairs of rows, the other lists beside the tables, and the report."""
    plans = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "plans").glob("*.json"))}
    tables = [path for path in plans if path.stem not in LISTS]
    for path in tables:
        yield Job(path.stem, "tables", f"@{path}")
    if compared := [plans[path] for path in tables if plans[path]["kind"] == "table"]:
        yield Job("comparisons", "tables.comparisons", packed_json({"plans": compared}))
    if (listed := folder / "plans" / f"{CERTIFICATES}.json") in plans:
        yield Job(CERTIFICATES, "tables.certificates", f"@{listed}")
    if (measured := folder / "plans" / f"{LIPSCHITZ}.json") in plans:
        yield Job(LIPSCHITZ, "tables.lipschitz", f"@{measured}", "-manifest.json")
    own = plans.get(folder / "plans" / f"{CLAIMS}.json", {})
    told = {"experiment": plans[tables[0]]["experiment"], "plans": [plans[path] for path in tables], **own}
    yield Job(CLAIMS, "tables.claims", packed_json(told), "-manifest.json")
    yield Job(ASSUMPTIONS, "tables.assumptions", f"@{folder / 'plans' / ASSUMPTIONS}.json")
    if (reported := folder / "plans" / f"{REPORT}.json") in plans:
        yield Job(REPORT, "tables.report", f"@{reported}")


def _make(job: Job, folder: Path, out: Path) -> None:
    words = ["--settings", job.settings, "--out", str(out), "--manifest", str(out / f"{job.name}{job.ending}")]
    if job.name != ASSUMPTIONS:  # it reads no file
        words += ["--root", str(folder)]
    process = PROCESSES.Process(target=_run_stage, args=(f"stages.{job.stage}", words))
    with BOOKS:
        process.start()
    wait([process.sentinel])
    with BOOKS:
        process.join()
    if process.exitcode:
        raise subprocess.CalledProcessError(process.exitcode, ["python", "-m", f"stages.{job.stage}", *words])


def _run_stage(module: str, words: list[str]) -> None:
    """`python -m MODULE WORDS`, in a process that has loaded what tables need."""
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _compare(made: Path, committed: Path) -> None:
    for path in sorted(made.iterdir()):
        other = committed / path.name
        compared = path.suffix in COMPARED or path.name in ("claims.json", "lipschitz.json")
        if compared and (not other.is_file() or path.read_bytes() != other.read_bytes()):
            raise ArtifactError(f"{other}: differs from what its outcomes give; run `make published`")


if __name__ == "__main__":
    run(main)
