"""`python -m stages.tables.show DIR table1 table2`: print tables that are already built, and say where they lie."""

import argparse
from pathlib import Path

from stages.core.errors import ArtifactError
from stages.core.job.stage import one_line_errors


def main(argv: list[str] | None = None) -> None:
    """Print each table's text."""
    cli = argparse.ArgumentParser(prog="python -m stages.tables.show", description="Print tables that are built.")
    cli.add_argument("folder", type=Path, help="the experiment's tables, results/tables/<experiment>")
    cli.add_argument("tables", nargs="+", help="which to print, e.g. table1 table2")
    args = cli.parse_args(argv)
    with one_line_errors():
        for table in args.tables:
            path = args.folder / f"{table}.txt"
            if not path.is_file():
                raise ArtifactError(f"{path}: no such table; build it with `snakemake`, or name one that is built")
            print(path.read_text(encoding="utf-8"))
        print(f"The tables as CSV, LaTeX and text are in {args.folder}/")
        if (report := args.folder / "report.html").is_file():
            print(f"Open in a browser: {report}")


if __name__ == "__main__":
    main()
