"""What the main process of a run looks at before its first job: files that changed, that are gone, or are asked for."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from stages.core.errors import ArtifactError
from workflow.planning.given import Given
from workflow.planning.jobs import Plan
from workflow.verify import again
from workflow.verify.dates import differing
from workflow.verify.files import Files
from workflow.verify.judge import is_current, made_from_others

RECORDS = Path(".snakemake/metadata")


@dataclass(frozen=True)
class Found:
    """again: files that were gone and the run makes; gone: those that stay so, by the table that rests on them."""

    again: list[str] = field(default_factory=list)
    gone: dict[str, list[str]] = field(default_factory=dict)


def before_jobs(plan: Plan, given: Given) -> Found:
    """What the run is to know; the plan is changed so that what is made again reruns nothing that is done.

    ArtifactError for files that were changed after their jobs wrote them. Says how many are gone and are not asked for.
    """
    files = Files(plan)
    require_unchanged(files, given)
    # Under other code what was made from them is to be made anew as well, which Snakemake then sees to by itself.
    wanted = [path for path in files.wanted() if is_current(files, files.maker[path])]
    asked = list(dict.fromkeys([*again.noted(files), *wanted]))
    made = again.made_for(files, asked)
    tables = {**plan.tables, "report": plan.lists["report"]}
    behind = {name: [path for path in files.gone_behind(job) if path not in made] for name, job in tables.items()}
    again.leave_finished(files, asked)
    if gone := [path for path in files.gone() if path not in made]:
        are = f" and {len(gone) - 1} more are gone" if gone[1:] else " is gone"
        _warn(f"{gone[0]}{are}, and finished results rest on that; `{given.command()}` lists what is")
    if not any(RECORDS.glob("*")) and any(map(files.is_done, files.jobs)):
        _warn(
            f"results are here without Snakemake's records of them ({RECORDS}), so it may make them again;"
            f" `{given.command('accept')}` takes what is whole"
        )
    return Found(asked, behind)


def require_unchanged(files: Files, given: Given) -> None:
    """ArtifactError for files that were changed after their jobs wrote them."""
    if damaged := differing(files):
        more = f" (and {len(damaged) - 1} more)" if damaged[1:] else ""
        raise ArtifactError(
            f"{damaged[0]}{more}: differs from its manifest; `{given.command(repair=True)}` removes what is"
            " damaged, and the next run makes it again"
        )


def after_jobs(plan: Plan, found: Found) -> None:
    """Forget what was to be made again and is there; say so where results stand that rest on it as it was before."""
    if not found.again:
        return
    files = Files(plan)
    again.note(files, again.noted(files))
    if older := made_from_others(files):
        others = f" and {len(older) - 1} more" if older[1:] else ""
        _warn(f"{older[0]}{others}: made from files that came out otherwise this time; run again for them")


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)
