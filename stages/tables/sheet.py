"""A table laid out for people, the same for the terminal and for LaTeX: heads, lines, marked entries, notes.

Its lines are the methods, or, as in the paper's Tables 3 to 7, the attacks. Where the paper's numbers are known, they
follow in a line of their own, each with ours less it. n, the number of test images, stands with the attack: in the
column's head, or in the line's. Notes say how to read the numbers, and which runs are missing and why.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from stages.core.config.table_plan import Plan, Row
from stages.tables.cells import Cell
from stages.tables.same_images import same_images_notes
from stages.tables.stars import legend, stars

MISSING = "–"
PARTIAL = "A marked number is the mean over the seeds that are there."
LETTERS = "abcdefghijklmnopqrstuvwxyz"
Marked = tuple[Cell, str]  # a cell and its star


@dataclass(frozen=True)
class Entry:
    """One entry: its text, then its interval or deviation in smaller type, and the marks of its notes."""

    text: str
    spread: str = ""
    marks: tuple[str, ...] = ()
    star: str = ""


@dataclass(frozen=True)
class Line:
    """One method or attack on one data set; `below`: the line belongs to the one above it."""

    label: Entry
    entries: tuple[Entry, ...]
    below: bool = False


@dataclass(frozen=True)
class Block:
    """A data set's lines; sizes: what stands below each head, empty where the lines say it."""

    dataset: str
    sizes: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Sheet:
    """A table: heads of the entries, a block a data set, and notes with their marks ('' for those without)."""

    title: str
    heads: tuple[str, ...]
    blocks: tuple[Block, ...]
    notes: tuple[tuple[str, str], ...]


@dataclass
class Marks:
    """Footnotes in the order they are first asked for; the same text keeps its mark."""

    known: dict[str, str] = field(default_factory=dict)

    def of(self, note: str) -> str:
        """The mark of a note: a, b, ..., z, aa, ab, ..."""
        if note not in self.known:
            place, mark = len(self.known) + 1, ""
            while place:
                place, letter = divmod(place - 1, len(LETTERS))
                mark = LETTERS[letter] + mark
            self.known[note] = mark
        return self.known[note]


def lay_out(plan: Plan, cells: list[Cell], remarks: list[str]) -> Sheet:
    """The sheet of scored cells (in the order of `score`); remarks: notes on the images, on figures for parity."""
    marks = Marks()
    starred = stars(cells)
    pairs = iter(zip(cells, starred, strict=True))
    by_row = [[[next(pairs) for _ in plan.columns] for _ in block] for block in plan.blocks()]
    arrange = _by_attack if plan.layout == "attacks" else _by_method
    blocks = tuple(arrange(block, grid, marks) for block, grid in zip(plan.blocks(), by_row, strict=True))
    by_attack = plan.layout == "attacks"
    heads = tuple(row.label for row in plan.blocks()[0]) if by_attack else tuple(c.label for c in plan.columns)
    compared = any(cell.paper is not None for cell in cells)
    versus = "paper: its published accuracy in %, and with it ours less the paper's." if compared else ""
    general = [legend(starred), *_reading(cells), versus, *same_images_notes(cells), *remarks, *plan.notes]
    notes = [("", note) for note in general if note] + [(mark, note) for note, mark in marks.known.items()]
    return Sheet(plan.title, heads, blocks, tuple(notes))


def _by_method(block: tuple[Row, ...], grid: list[list[Marked]], marks: Marks) -> Block:
    lines = [line for row, pairs in zip(block, grid, strict=True) for line in _lines(Entry(row.label), pairs, marks)]
    return Block(block[0].title(), tuple(map(_images, zip(*grid, strict=True))), tuple(lines))


def _by_attack(block: tuple[Row, ...], grid: list[list[Marked]], marks: Marks) -> Block:
    lines: list[Line] = []
    for pairs in zip(*grid, strict=True):
        lines.extend(_lines(Entry(pairs[0][0].column.label, _images(pairs)), list(pairs), marks))
    return Block(block[0].title(), ("",) * len(block), tuple(lines))


def _lines(label: Entry, pairs: list[Marked], marks: Marks) -> Iterator[Line]:
    """Ours, and where the paper has a number for any of them, the paper's below."""
    yield Line(label, tuple(_entry(cell, star, marks) for cell, star in pairs))
    known = [cell for cell, _ in pairs if cell.paper is not None]
    if known:
        noted = tuple(dict.fromkeys(marks.of(cell.row.paper_note) for cell in known if cell.row.paper_note))
        yield Line(Entry("paper", marks=noted), tuple(_published(cell) for cell, _ in pairs), below=True)


def _images(pairs: tuple[Marked, ...] | list[Marked]) -> str:
    """'n = 360', or 'n = 24/32' where the cells rest on different numbers of test images."""
    sizes = sorted({cell.images for cell, _ in pairs if cell.images})
    return f"n = {'/'.join(map(str, sizes))}" if sizes else ""


def _entry(cell: Cell, star: str, marks: Marks) -> Entry:
    noted = tuple(marks.of(f"{gap.run}: {gap.reason}") for gap in cell.gaps)
    if cell.accuracy is None or cell.interval is None:
        return Entry(MISSING, marks=noted)
    low, high = cell.interval
    spread = f"[{low:.1f}, {high:.1f}]" if cell.sd is None else f"± {cell.sd:.2f}"
    return Entry(f"{cell.accuracy:.2f}", spread, noted, star)


def _published(cell: Cell) -> Entry:
    """The paper's number with its printed digits, and ours less it."""
    if cell.paper is None:
        return Entry("")
    difference = "" if cell.difference is None else f"{cell.difference:+.2f}".replace("-", "−")
    return Entry(str(cell.paper), difference)


def _reading(cells: list[Cell]) -> Iterator[str]:
    if any(len(cell.fractions) == 1 for cell in cells):
        yield "One seed: accuracy in % [95 % Wilson interval for the n test images]."
    counts = sorted({len(cell.fractions) for cell in cells} - {0, 1})
    if counts:
        seeds = " or ".join(map(str, counts))
        yield (
            f"{seeds} seeds: mean accuracy in % ± standard deviation over seeds (ddof 1). The seeds share the test "
            "images; the CSV's Wilson interval, taken at the mean count, speaks of the images alone."
        )
    if any(cell.fractions and cell.gaps for cell in cells):
        yield PARTIAL
