"""Which rows of a column are marked: the best, where the images tell it apart from every other, or those that tie.

Rows are told apart by the 95 % interval of their paired difference, image by image: Tango's for one seed, for several
that of the differences averaged over the seeds. Both are conditional on the checkpoints. Rows on other images or other
seeds are not compared, and nothing is marked.
"""

from collections.abc import Sequence

import numpy as np

from stages.tables.cells import Cell
from stages.tables.paired import Counts, Interval, mean_interval

BEST, TIED = "*", "="
LEGEND = {
    BEST: "*: best of its attack and data set, told apart from every other row.",
    TIED: "=: the best and those not told apart from it.",
}
GROUNDS = (
    "Told apart: the 95 % interval of the paired difference on the same images (over several seeds, of each image's"
    " mean) leaves out 0; one pair at a time, given these checkpoints. comparisons.csv adjusts for the number of pairs."
)


def stars(cells: Sequence[Cell]) -> list[str]:
    """Each cell's star within its column and data set, in the order given: BEST, TIED or none."""
    found = [""] * len(cells)
    groups: dict[tuple[str, str], list[int]] = {}
    for place, cell in enumerate(cells):
        if cell.verdicts:
            groups.setdefault((cell.row.dataset, cell.column.attack), []).append(place)
    for places in groups.values():
        for place, mark in zip(places, _column([cells[place] for place in places]), strict=True):
            found[place] = mark
    return found


def legend(found: Sequence[str]) -> str:
    """What the stars that stand in a table say; nothing where there are none."""
    used = [text for star, text in LEGEND.items() if star in found]
    return " ".join([*used, GROUNDS]) if used else ""


def _column(cells: list[Cell]) -> list[str]:
    """Of one column's cells on one data set, all with verdicts."""
    top = max(cells, key=lambda cell: sum(cell.fractions) / len(cell.fractions))
    if len(cells) < 2 or any(_grounds(cell) != _grounds(top) for cell in cells):
        return [""] * len(cells)
    tied = [cell is top or not _apart(top, cell) for cell in cells]
    if sum(tied) == 1:
        return [BEST if mine else "" for mine in tied]
    return [TIED if mine else "" for mine in tied]


def _grounds(cell: Cell) -> list[tuple[int, bytes]]:
    """Seeds and images that a cell rests on."""
    return sorted((verdicts.seed, verdicts.index.tobytes()) for verdicts in cell.verdicts)


def _apart(a: Cell, b: Cell) -> bool:
    low, high = difference_interval(a, b)
    return low > 0 or high < 0


def difference_interval(a: Cell, b: Cell) -> Interval:
    """95 % interval of a's accuracy less b's, both of the same seeds and images."""
    mine, theirs = (sorted(cell.verdicts, key=lambda verdicts: verdicts.seed) for cell in (a, b))
    pairs = list(zip(mine, theirs, strict=True))
    if len(pairs) == 1:
        return Counts.of(pairs[0][0].robust, pairs[0][1].robust).interval
    return mean_interval(np.mean([x.robust.astype(float) - y.robust for x, y in pairs], axis=0))
