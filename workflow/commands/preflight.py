"""`python -m workflow.commands.preflight`: what stands in the way of a run; status 1 if anything does."""

import sys
from pathlib import Path

from workflow.commands.cli import experiment_of, run
from workflow.planning.tables import make_plan
from workflow.preflight.look import preflight, to_do
from workflow.preflight.room import still_made


def main(argv: list[str] | None = None) -> None:
    """Print a line for each fault, or what the run will make."""
    plan = make_plan(experiment_of("preflight", __doc__ or "", argv))
    if faults := preflight(plan):
        sys.exit("\n".join(f"preflight: {fault}" for fault in faults))
    made = still_made(plan, to_do(plan), Path())
    unknown = f", beside those of {made.unknown} whose images are not counted yet" if made.unknown else ""
    size = f"about {made.size / 1e9:.1f} GB in {made.files} files{unknown}"
    print(f"preflight: {made.jobs} jobs to do, {size}; nothing stands in their way")


if __name__ == "__main__":
    run(main)
