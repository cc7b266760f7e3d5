"""CSV text, the same bytes for the same values on every platform."""

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A header and lines, comma-separated, quoted only where needed, ended by a line feed."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return stream.getvalue()
