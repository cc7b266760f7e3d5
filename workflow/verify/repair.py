"""Damaged files removed, so that the next run makes them again."""

from collections.abc import Iterable

from stages.core.errors import StageError
from workflow.verify.files import Files
from workflow.verify.judge import Found


def repair(files: Files, found: Iterable[Found]) -> tuple[list[str], list[str]]:
    """Remove what is damaged; (what was removed, what is to be made again, both by path).

    Of a file that Snakemake is not told of, one that it is told of goes too: else it would not make the job again.
    """
    removed: list[str] = []
    again: list[str] = []
    for one in found:
        if one.kind == "stale":
            continue
        declared = list(one.job.outputs().values())
        if one.what in declared:
            lead = one.what
        else:
            lead = one.job.file("manifest") if one.job.file("manifest") in declared else declared[0]
        again.append(lead)
        removed += [path for path in dict.fromkeys((one.what, lead)) if one.kind == "damaged" or path != one.what]
    gone = [path for path in dict.fromkeys(removed) if (files.root / path).is_file()]
    for path in gone:
        try:
            (files.root / path).unlink()
        except OSError as error:
            raise StageError(f"{path}: cannot be removed ({error.strerror}); repair as its owner") from error
    return gone, list(dict.fromkeys(again))
