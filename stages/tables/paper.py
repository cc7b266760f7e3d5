"""The paper's published accuracies (arXiv 2303.16861), to stand beside ours.

They lie in `paper.csv`, in percent, one line a number. It holds only the numbers that have reached this project with
their source; most of the paper's 239 are absent, and a table shows "–" for them. To add one, append a line:

    table    the table's key in an experiment file, e.g. table1
    dataset  the paper's data set, as `paper_dataset` names it, e.g. cifar10
    method   the method's key, e.g. lsp
    variant  the settings that differ from the method's preset, e.g. lsp.m=16;lsp.weight=5 (any order), or nothing
    column   the attack's label at the head of our column, upper or lower case, e.g. PGD
    value    the accuracy as printed, in percent
    source   where the number was read, e.g. "arXiv 2303.16861v1, Table 1"

Read numbers off the paper itself; one that is derived or remembered does not belong there. The tables show them at the
next run.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from stages.core.config import Number
from stages.core.errors import ArtifactError
from stages.core.explain import explain
from stages.core.section import Section

PAPER = Path(__file__).with_name("paper.csv")
Key = tuple[str, str, str, str, str]


class Published(Section):
    """One line of paper.csv."""

    table: str = Field(min_length=1)
    dataset: str = Field(min_length=1)
    method: str = Field(min_length=1)
    variant: str = ""
    column: str = Field(min_length=1)
    value: Number = Field(ge=0, le=100)
    source: str = Field(min_length=1)

    def settings(self) -> dict[str, str]:
        """The variant's settings by name, as written."""
        pairs = [part.partition("=") for part in self.variant.split(";") if part.strip()]
        return {name.strip(): value.strip() for name, _, value in pairs}


def key(table: str, dataset: str, method: str, variant: Mapping[str, Any], column: str) -> Key:
    """What a published number is found by; settings in any order, numbers in any spelling (1, 1.0, '1')."""
    settings = ";".join(f"{name}={_spelling(variant[name])}" for name in sorted(variant))
    return table, dataset, method, settings, column.strip().casefold()


def read_paper(path: Path = PAPER) -> dict[Key, Published]:
    """The published numbers by key; ArtifactError names the line that breaks a rule or repeats another."""
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
            raise ArtifactError(f"{path}, line {number}: {explain(error, Published)}") from error
        parts = published.table, published.dataset, published.method, published.settings(), published.column
        if key(*parts) in found:
            raise ArtifactError(f"{path}, line {number}: this number stands twice; keep one line")
        found[key(*parts)] = published
    return found


def _spelling(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return f"{float(value):.12g}"
    except (TypeError, ValueError):
        return str(value)
