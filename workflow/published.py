"""`python -m workflow.published [--check]`: make the published tables again from their per-example outcomes alone.

With --check nothing is written: every CSV, LaTeX and text file must come out byte for byte as it is committed.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from stages.core.errors import ArtifactError
from workflow.commands import ROOT, run

COMPARED = (".csv", ".tex", ".txt")


def main(argv: list[str] | None = None) -> None:
    """Regenerate, or check, every experiment below results/published/."""
    cli = argparse.ArgumentParser(prog="python -m workflow.published", description=__doc__)
    cli.add_argument("--check", action="store_true", help="compare with what is committed and write nothing")
    check = cli.parse_args(argv).check
    for folder in sorted(path.parent for path in (ROOT / "results/published").glob("*/plans")):
        (check_made if check else make)(folder)


def make(folder: Path) -> None:
    """Make the tables of a published experiment from the plans and outcomes in its folder."""
    for plan in _plans(folder):
        _make(plan, folder, folder / "tables")
        print(f"{folder.name}/{plan.stem}: made")


def check_made(folder: Path) -> None:
    """Raise ArtifactError unless the outcomes give the tables in the folder, byte for byte."""
    for plan in _plans(folder):
        with tempfile.TemporaryDirectory() as scratch:
            _make(plan, folder, Path(scratch))
            _compare(Path(scratch), folder / "tables")
        print(f"{folder.name}/{plan.stem}: as committed")


def _plans(folder: Path) -> list[Path]:
    return sorted((folder / "plans").glob("*.json"))


def _make(plan: Path, folder: Path, out: Path) -> None:
    command = [sys.executable, "-m", "stages.tables", "--settings", f"@{plan}", "--root", str(folder)]
    subprocess.run([*command, "--out", str(out), "--manifest", str(out / f"{plan.stem}.json")], check=True, cwd=ROOT)


def _compare(made: Path, committed: Path) -> None:
    for path in sorted(made.iterdir()):
        other = committed / path.name
        if path.suffix in COMPARED and (not other.is_file() or path.read_bytes() != other.read_bytes()):
            raise ArtifactError(f"{other}: differs from what its outcomes give; run `make published`")


if __name__ == "__main__":
    run(main)
