"""A table's cells on one data set, found by the names that claims use: the paper's numbers and ours alike."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from stages.core.config.table_plan import place_of
from stages.tables.paper import Key, Published

V = TypeVar("V")
VARIED = {5: "m = ", 6: "λ = "}


@dataclass(frozen=True)
class Block(Generic[V]):
    """Cells of type V by the labels of their row and column.

    number: of the paper's table that it is or answers to; losses: of a figure of losses. datasets: what a claim of the
    paper's calls the data set, and what one of ours does. rows, columns: label -> what a claim may call it. attacks:
    column -> its settings, where they are known.
    """

    table: str
    number: int | None
    losses: bool
    title: str
    datasets: tuple[str, str]
    rows: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, tuple[str, ...]]
    cells: Mapping[tuple[str, str], V]
    attacks: Mapping[str, Any]

    def row(self, word: str) -> str:
        """The label of the row that a word means; '' for none."""
        return _meant(word, self.rows)

    def column(self, word: str) -> str:
        """The label of the column that a word means; '' for none."""
        return _meant(word, self.columns)

    def keeping(self, cells: Mapping[tuple[str, str], V]) -> "Block[V]":
        """The block with some of its cells."""
        return replace(self, cells=cells)


def _meant(word: str, names: Mapping[str, tuple[str, ...]]) -> str:
    place = place_of(word, list(names.values()))
    return "" if place is None else list(names)[place]


def published_blocks(paper: Mapping[Key, Published]) -> list[Block[Published]]:
    """The paper's own tables, a block a data set."""
    found: dict[tuple[int, str], list[Published]] = {}
    for number in paper.values():
        found.setdefault((number.table, number.dataset), []).append(number)
    return [
        Block(
            table=f"Table {table}",
            number=table,
            losses=False,
            title=dataset,
            datasets=(dataset, dataset),
            rows={row: (row.removeprefix(VARIED.get(table, "")),) for row in map(_label, numbers)},
            columns={number.column: (number.column,) for number in numbers},
            cells={(_label(number), number.column): number for number in numbers},
            attacks={},
        )
        for (table, dataset), numbers in found.items()
    ]


def _label(number: Published) -> str:
    return VARIED.get(number.table, "") + number.row
