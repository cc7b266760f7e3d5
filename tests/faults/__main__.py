"""`python -m tests.faults`: inject faults, print a table of what held, and end with 1 if something did not.

The CI's size takes minutes; --full takes hours and keeps every row that held below --into, so that the next call goes
on there. Remove that folder to begin anew.
"""

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded: a process with a thread pool cannot be forked

from tests.conftest import ROOT
from tests.faults import (
    flipped,
    fuzzed,
    hostile_files,
    killed,
    killed_commands,
    killed_saving,
    resumed,
    shared,
    unwritable,
)
from tests.faults.suite import Row, Size, Told, run, text, write_page
from tests.faults.world import World

MODULES = (killed, killed_commands, killed_saving, resumed, flipped, unwritable, hostile_files, fuzzed, shared)
ROWS: dict[str, Row] = {module.ROW.name: module.ROW for module in MODULES}
INTO = ROOT / "results/published/faults"


def main(argv: list[str] | None = None) -> int:
    """Make the rows that are asked for and print the table; the status."""
    args = _arguments().parse_args(argv)
    if args.trial is not None and len(args.only or ()) != 1:
        sys.exit("--trial: it is one of a row's; name that ROW with --only")
    size = Size(args.full, args.seed)
    root = args.world or Path(tempfile.mkdtemp(prefix="faults-"))
    world = World(root)
    try:
        told = [_told(ROWS[name], size, args, world) for name in args.only or ROWS]
    finally:
        if args.world is None:
            shutil.rmtree(root, ignore_errors=True)
    print(text(told))
    if args.full and args.trial is None and not args.only:
        write_page(args.into, told, shlex.join(["python", "-m", "tests.faults", "--full", "--seed", str(args.seed)]))
    return int(not all(one.holds for one in told))


def _told(row: Row, size: Size, args: argparse.Namespace, world: World) -> Told:
    """What came of a row, now or in an earlier call in which all of it held."""
    kept = args.into / f"{row.name}.json" if args.full and args.trial is None else None
    if kept is not None and kept.is_file():
        told = Told.read(kept)
        if told.holds and (told.full, told.seed) == (size.full, size.seed):
            return told
    print(f"{row.name}: {row.fault} …", file=sys.stderr, flush=True)
    told = run(row, world, size, args.trial)
    print(f"{row.name}: {told.total.held:,} of {told.total.injected:,} held", file=sys.stderr, flush=True)
    if kept is not None:
        told.write(kept)
    return told


def _arguments() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    cli.add_argument("--full", action="store_true", help="the full size, hours; default: the CI's, minutes")
    cli.add_argument("--only", nargs="+", choices=list(ROWS), metavar="ROW", help=f"some of {', '.join(ROWS)}")
    cli.add_argument("--trial", type=int, help="with one ROW: its trial of this number alone")
    cli.add_argument("--seed", type=int, default=0, help="what all faults are drawn from (default: 0)")
    cli.add_argument("--into", type=Path, default=INTO, help=f"with --full; default: {INTO.relative_to(ROOT)}")
    cli.add_argument("--world", type=Path, help="a folder that keeps the finished experiment for the next call")
    return cli


if __name__ == "__main__":
    sys.exit(main())
