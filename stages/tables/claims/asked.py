"""The comparisons that a claim makes of tables, each so that a positive difference is as claimed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Generic, Literal

from stages.core.config.claims import Claim, Gain, Higher, Loss, Order
from stages.core.config.table_plan import folded
from stages.tables.claims.blocks import Block, V

Role = Literal["each", "adjacent", "ends"]
FIRST, LAST, ALL = "first fifth", "last fifth", "all epochs"


@dataclass(frozen=True)
class Comparison(Generic[V]):
    """The cells above less those below is positive where it is as claimed; a and b name what is compared.

    role: each must hold; of an order, adjacent pairs must not be reversed and the ends must hold.
    """

    table: str
    dataset: str
    column: str
    a: str
    b: str
    above: tuple[V, ...]
    below: tuple[V, ...]
    role: Role = "each"

    def __str__(self) -> str:
        return f"{self.a} less {self.b}, {self.column}, {self.dataset}"


def comparisons(claim: Claim, blocks: Sequence[Block[V]], *, own: bool) -> list[Comparison[V]]:
    """Those that the blocks have cells for. own: a claim of ours, which names data sets as the experiment does."""
    mine = _mine(claim, blocks, own)
    return [found for block in mine for found in _of(claim, block, blocks) if found is not None]


def lacking(claim: Claim, blocks: Sequence[Block[V]], *, own: bool) -> int:
    """How many comparisons that the claim names have no cells, on data sets that have cells for any of its others.

    All of a data set's count where the claim names the data set itself, unless none of the others has any either.
    """
    there: dict[tuple[str, str], list[bool]] = {}
    for block in _mine(claim, blocks, own):
        here = [found is not None for found in _of(claim, block, blocks)]
        if any(here):
            before = there.get(block.datasets, here)
            there[block.datasets] = [one or other for one, other in zip(here, before, strict=True)]
    if not there:
        return 0
    absent = set(map(folded, claim.datasets)) - {folded(_called(datasets, own)) for datasets in there}
    (size, *_) = map(len, there.values())
    return sum(here.count(False) for here in there.values()) + len(absent) * size


def _mine(claim: Claim, blocks: Sequence[Block[V]], own: bool) -> list[Block[V]]:
    return [block for block in blocks if _is_meant(claim, block) and _has_dataset(claim, block, own)]


def _is_meant(claim: Claim, block: Block[V]) -> bool:
    if isinstance(claim, Loss):
        return block.losses and claim.table in (None, block.table)
    return not block.losses and _answers(block, claim.table)


def _answers(block: Block[V], table: int | str) -> bool:
    return table == (block.number if isinstance(table, int) else block.table)


def _has_dataset(claim: Claim, block: Block[V], own: bool) -> bool:
    return not claim.datasets or folded(_called(block.datasets, own)) in map(folded, claim.datasets)


def _called(datasets: tuple[str, str], own: bool) -> str:
    return datasets[1 if own else 0]


def _of(claim: Claim, block: Block[V], blocks: Sequence[Block[V]]) -> Iterator[Comparison[V] | None]:
    """As many of every block as the claim names, in one order; None for each that the block has no cells for."""
    if isinstance(claim, Higher):
        yield from _higher(claim, block, blocks)
    elif isinstance(claim, Order):
        yield from _order(claim, block)
    elif isinstance(claim, Gain):
        yield from _gain(claim, block)
    else:
        yield from _loss(claim, block)


def _higher(claim: Higher, block: Block[V], blocks: Sequence[Block[V]]) -> Iterator[Comparison[V] | None]:
    others = [block]
    if claim.than_table is not None:
        others = [other for other in blocks if other.datasets == block.datasets and _answers(other, claim.than_table)]
    for column, better, than in product(claim.columns, claim.better, claim.than):
        mine = block.row(better), block.column(column)
        for other in others:
            theirs = other.row(than), other.column(column)
            if mine in block.cells and theirs in other.cells and _same_attack(block, mine[1], other, theirs[1]):
                yield Comparison(
                    block.table, block.title, mine[1], mine[0], theirs[0], (block.cells[mine],), (other.cells[theirs],)
                )
                break
        else:
            yield None


def _same_attack(block: Block[V], column: str, other: Block[V], theirs: str) -> bool:
    """Whether two columns are of one attack, as far as is known."""
    return None in (attacks := (block.attacks.get(column), other.attacks.get(theirs))) or attacks[0] == attacks[1]


def _order(claim: Order, block: Block[V]) -> Iterator[Comparison[V] | None]:
    """Along the rows that have a cell under a column: their pairs come first, then None for each row that has not."""
    for column in map(block.column, claim.columns):
        rows = [row for row in map(block.row, claim.rows) if (row, column) in block.cells]

        def pair(low: str, high: str, role: Role, column: str = column) -> Comparison[V]:
            a, b = (low, high) if claim.falls else (high, low)
            above, below = (block.cells[row, column] for row in (a, b))
            return Comparison(block.table, block.title, column, a, b, (above,), (below,), role)

        adjacent = list(pairwise(rows)) if len(rows) > 2 else []
        yield from (pair(low, high, "adjacent") for low, high in adjacent)
        if len(claim.rows) > 2:
            yield from [None] * (len(claim.rows) - 1 - len(adjacent))
        yield pair(rows[0], rows[-1], "ends") if len(rows) > 1 else None


def _gain(claim: Gain, block: Block[V]) -> Iterator[Comparison[V] | None]:
    better, than = block.row(claim.better), block.row(claim.than)
    for column, other in product(map(block.column, claim.columns), map(block.column, claim.than_columns)):
        above, below = [(better, column), (than, other)], [(than, column), (better, other)]
        if any(place not in block.cells for place in (*above, *below)):
            yield None
            continue
        yield Comparison(
            block.table, block.title, f"{column} less {other}", better, than, _at(block, above), _at(block, below)
        )


def _loss(claim: Loss, block: Block[V]) -> Iterator[Comparison[V] | None]:
    """What is larger as claimed stands above: of two losses the one that is not better."""
    name = {"lsp": "LSP loss", "objective": "objective's loss"}[claim.loss]

    def pair(a: str, b: str, over_a: str, over_b: str) -> Comparison[V] | None:
        above, below = (a, f"{claim.loss}, {over_a}"), (b, f"{claim.loss}, {over_b}")
        if above not in block.cells or below not in block.cells:
            return None
        shown = (a, b) if a != b else (f"{a}, {over_a}", f"{b}, {over_b}")
        return Comparison(block.table, block.title, name, *shown, _at(block, [above]), _at(block, [below]))

    for row in map(block.row, claim.rises):
        yield pair(row, row, LAST, FIRST)
    for row in map(block.row, claim.falls):
        yield pair(row, row, FIRST, LAST)
    for worse, better in product(map(block.row, claim.than), map(block.row, claim.better)):
        yield pair(worse, better, ALL, ALL)


def _at(block: Block[V], places: Iterable[tuple[str, str]]) -> tuple[V, ...]:
    return tuple(block.cells[place] for place in places)
