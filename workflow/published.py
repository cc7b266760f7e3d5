"""`python -m workflow.published [--check]`: make the published tables again from their per-example outcomes alone.

With --check nothing is written: every CSV, LaTeX and text file must come out byte for byte as it is committed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stages.core.errors import ArtifactError
from stages.core.files import packed_json
from workflow.commands import ROOT, run

COMPARED = (".csv", ".tex", ".txt", ".md")
ASSUMPTIONS = "assumptions"


def main(argv: list[str] | None = None) -> None:
    """Regenerate, or check, every experiment below results/published/."""
    cli = argparse.ArgumentParser(prog="python -m workflow.published", description=__doc__)
    cli.add_argument("--check", action="store_true", help="compare with what is committed and write nothing")
    check = cli.parse_args(argv).check
    for folder in sorted(path.parent for path in (ROOT / "results/published").glob("*/plans")):
        (check_made if check else make)(folder)


def make(folder: Path) -> None:
    """Make the tables of a published experiment from the plans and outcomes in its folder."""
    for name, stage, settings in _jobs(folder):
        _make(name, stage, settings, folder, folder / "tables")
        print(f"{folder.name}/{name}: made")


def check_made(folder: Path) -> None:
    """Raise ArtifactError unless the outcomes give the tables in the folder, byte for byte."""
    for name, stage, settings in _jobs(folder):
        with tempfile.TemporaryDirectory() as scratch:
            _make(name, stage, settings, folder, Path(scratch))
            _compare(Path(scratch), folder / "tables")
        print(f"{folder.name}/{name}: as committed")


def _jobs(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(name, stage, its --settings) of every table and figure, of the pairs of rows, and of the assumptions."""
    plans = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "plans").glob("*.json"))}
    tables = [path for path in plans if path.stem != ASSUMPTIONS]
    for path in tables:
        yield path.stem, "tables", f"@{path}"
    if compared := [plans[path] for path in tables if plans[path]["kind"] == "table"]:
        yield "comparisons", "tables.comparisons", packed_json({"plans": compared})
    yield ASSUMPTIONS, "tables.assumptions", f"@{folder / 'plans' / ASSUMPTIONS}.json"


def _make(name: str, stage: str, settings: str, folder: Path, out: Path) -> None:
    command = [sys.executable, "-m", f"stages.{stage}", "--settings", settings, "--root", str(folder)]
    subprocess.run([*command, "--out", str(out), "--manifest", str(out / f"{name}.json")], check=True, cwd=ROOT)


def _compare(made: Path, committed: Path) -> None:
    for path in sorted(made.iterdir()):
        other = committed / path.name
        if path.suffix in COMPARED and (not other.is_file() or path.read_bytes() != other.read_bytes()):
            raise ArtifactError(f"{other}: differs from what its outcomes give; run `make published`")


if __name__ == "__main__":
    run(main)
