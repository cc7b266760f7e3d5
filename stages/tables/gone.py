"""What a table says of files that its numbers rest on and that are gone: a deleted checkpoint, for instance."""

import argparse
from collections.abc import Sequence

NAMED = 3


def add_argument(cli: argparse.ArgumentParser) -> None:
    """--gone, which the workflow fills: a stage sees only the files that it reads itself."""
    cli.add_argument("--gone", nargs="*", default=[], help="files that what is read was made from and that are gone")


def gone_notes(paths: Sequence[str]) -> tuple[str, ...]:
    """A sentence that names the first few; nothing where none is gone."""
    if not paths:
        return ()
    more = f" and {len(paths) - NAMED} more" if paths[NAMED:] else ""
    return (
        f"Made while files that it rests on were gone: {', '.join(paths[:NAMED])}{more}; `make verify` lists them.",
    )
