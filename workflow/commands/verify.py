"""`python -m workflow.commands.verify`: hold every file of an experiment against the manifest of the job that wrote it.

Damaged: a file's bytes are not those that its job wrote. Missing: its manifest names it, or finished results rest on
it. Stale: made from another input than the one that is there, by other code or another plan; `snakemake` makes it
again, or `accept` takes it. The status is 1 if there is any. With --repair the damaged are removed, and the next run
makes them and the missing again. What was hashed is noted while it lasts, so that an interrupted pass is gone on with.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from stages.core.errors import StageError
from workflow.commands.cli import command_line, given_by, run
from workflow.planning.jobs import Plan
from workflow.planning.tables import make_plan
from workflow.verify import again
from workflow.verify.files import Files
from workflow.verify.hashing import Pass, hash_all
from workflow.verify.judge import Found, judge
from workflow.verify.repair import repair

LOCKS = Path(".snakemake/locks")
KINDS = ("damaged", "missing", "stale")


def main(argv: list[str] | None = None) -> None:
    """List what is wrong, say what looking at it cost, and with --repair remove what is damaged."""
    cli = command_line("verify", __doc__ or "")
    cli.add_argument("--repair", action="store_true", help="remove what is damaged, and have it made again")
    args = cli.parse_args(argv)
    given = given_by(args)
    plan = make_plan(given.experiment())
    found, took = looked_at(plan)
    for one in found:
        print(f"{one.kind:8} {one.what}: {one.why}")
    print(f"{cost(took)}: {', '.join(f'{count} {kind}' for kind, count in counted(found).items())}")
    if args.repair:
        repaired(plan, found)
    elif any(one.kind != "stale" for one in found):
        print(f"`{given.command(repair=True)}` removes what is damaged; the next run makes all of it again")
    sys.exit(any(one.kind == "stale" or not args.repair for one in found))


def looked_at(plan: Plan) -> tuple[list[Found], Pass]:
    """All that is wrong with the files of a plan, and what it took to see that."""
    passes: list[Pass] = []

    def hashes(paths: Iterable[str]) -> Mapping[str, str | None]:
        passes.append(hash_all(paths, again.record_of(plan).with_suffix(".pass.json")))
        return passes[-1].hashes

    return judge(Files(plan), hashes), passes[0]


def counted(found: Sequence[Found]) -> dict[str, int]:
    """How many are of each kind."""
    counts: Counter[str] = Counter(one.kind for one in found)
    return {kind: counts[kind] for kind in KINDS}


def cost(took: Pass) -> str:
    """What a pass read, in words."""
    speed = f" ({took.read / 1e6 / took.seconds:.0f} MB/s)" if took.seconds else ""
    before = f", {took.known} of them in an interrupted pass" if took.known else ""
    return f"verified {len(took.hashes)} files{before}: {took.read / 1e6:.1f} MB in {took.seconds:.1f} s{speed}"


def repaired(plan: Plan, found: Sequence[Found]) -> None:
    """Remove what is damaged and note what is to be made again; StageError while Snakemake works here."""
    if not counted(found)["damaged"] and not counted(found)["missing"]:
        return
    if LOCKS.is_dir() and any(LOCKS.iterdir()):
        raise StageError(f"{LOCKS}: snakemake works here; wait for its end, or `snakemake --unlock` if it was killed")
    removed, wanted = repair(Files(plan), found)
    for path in removed:
        print(f"removed  {path}")
    again.note(Files(plan), wanted)
    print(f"the next run makes {len(wanted)} files again: {plan.experiment.command}")


if __name__ == "__main__":
    run(main)
