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
    for plan in sorted((ROOT / "results/published").glob("*/plans/*.json")):
        folder = plan.parents[1]
        if check:
            with tempfile.TemporaryDirectory() as scratch:
                _make(plan, folder, Path(scratch))
                _compare(Path(scratch), folder / "tables", plan.stem)
        else:
            _make(plan, folder, folder / "tables")
        print(f"{folder.name}/{plan.stem}: {'as committed' if check else 'made'}")


def _make(plan: Path, folder: Path, out: Path) -> None:
    command = [sys.executable, "-m", "stages.tables", "--settings", f"@{plan}", "--root", str(folder)]
    subprocess.run([*command, "--out", str(out), "--manifest", str(out / f"{plan.stem}.json")], check=True, cwd=ROOT)


def _compare(made: Path, committed: Path, table: str) -> None:
    for path in sorted(made.glob(f"{table}.*")):
        if path.suffix in COMPARED and path.read_bytes() != (committed / path.name).read_bytes():
            raise ArtifactError(f"{committed / path.name}: differs from what its outcomes give; run `make published`")


if __name__ == "__main__":
    run(main)
