"""The paper's published accuracies (arXiv 2303.16861), to stand beside ours.

`paper.csv` holds all 239 numbers of its Tables 1 to 7 as printed there, in percent: the table's number, the data set,
the row (in Tables 3 to 6 the varied value, else the method), the column (the attack) and the accuracy. A cell of ours
answers to the number whose table, data set, row and column are called alike; case, spaces, hyphens and underscores do
not count.
"""

import csv
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from stages.core.config.messages import validation_message
from stages.core.config.section import Section
from stages.core.config.table_plan import folded
from stages.core.errors import ArtifactError

PAPER = Path(__file__).with_name("paper.csv")
Key = tuple[int, str, str, str]


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_stripped), Field(min_length=1)]


class Published(Section):
    """One line of paper.csv; the number keeps its printed digits."""

    table: int = Field(ge=1, le=7)
    dataset: Text
    row: Text
    column: Text
    paper: Decimal = Field(ge=0, le=100)


def key(table: int, dataset: str, row: str, column: str) -> Key:
    """What a published number is found by."""
    return table, folded(dataset), folded(row), folded(column)


def read_paper(path: Path = PAPER) -> dict[Key, Published]:
    """The published numbers by key, in the order of the file; ArtifactError names the line that breaks a rule."""
    found: dict[Key, Published] = {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = list(csv.DictReader(stream))
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; restore it from the repository") from error
    for number, line in enumerate(lines, start=2):
        try:
            published = Published.model_validate(line)
        except ValidationError as error:
            raise ArtifactError(f"{path}, line {number}: {validation_message(error, Published)}") from error
        place = key(published.table, published.dataset, published.row, published.column)
        if place in found:
            raise ArtifactError(f"{path}, line {number}: this number stands twice; keep one line")
        found[place] = published
    return found
