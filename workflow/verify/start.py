"""What the main process of a run looks at before its first job: files that changed, that are gone, or are asked for."""

import sys
from collections.abc import Sequence
from pathlib import Path

from stages.core.errors import ArtifactError
from workflow.planning.jobs import Plan
from workflow.verify import again
from workflow.verify.dates import differing
from workflow.verify.files import Files, command


def before_jobs(plan: Plan, configfiles: Sequence[Path]) -> list[str]:
    """The files that the run makes again besides what its tables need; the plan is changed to leave the rest.

    ArtifactError for files that were changed after their jobs wrote them. Says how many are gone and are not asked for.
    """
    files = Files(plan)
    require_unchanged(files, configfiles)
    asked = again.noted(files)
    again.leave_finished(files, asked)
    if gone := [path for path in files.gone() if path not in asked]:
        others = (
            f" and {len(gone) - 1} more that finished results rest on are"
            if gone[1:]
            else ", which finished results rest on, is"
        )
        print(f"warning: {gone[0]}{others} gone; `{command(configfiles, repair=False)}` lists them", file=sys.stderr)
    return asked


def require_unchanged(files: Files, configfiles: Sequence[Path]) -> None:
    """ArtifactError for files that were changed after their jobs wrote them."""
    if damaged := differing(files):
        more = f" (and {len(damaged) - 1} more)" if damaged[1:] else ""
        raise ArtifactError(
            f"{damaged[0]}{more}: differs from its manifest; `{command(configfiles, repair=True)}` removes what is"
            " damaged, and the next run makes it again"
        )


def after_jobs(plan: Plan) -> None:
    """Forget what was to be made again and is there."""
    files = Files(plan)
    again.note(files, again.noted(files))
