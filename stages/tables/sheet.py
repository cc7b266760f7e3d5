"""A table laid out for people, the same for the terminal and for LaTeX: heads, marked entries, notes.

Where the paper's numbers are known for a column, its number and ours less it follow the column. Notes say how to read
the numbers, on how many images they rest, and which runs are missing and why.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from stages.tables.cells import Cell, best
from stages.tables.plan import Column, Plan, Row

MISSING = "–"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Entry:
    """One entry: its text, then its interval or deviation in smaller type, and the marks of its notes."""

    text: str
    spread: str = ""
    marks: tuple[str, ...] = ()
    best: bool = False


@dataclass(frozen=True)
class Line:
    """One method on one data set."""

    dataset: str
    label: Entry
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Sheet:
    """A table: heads of the entries, lines by data set, and notes with their marks ('' for those without)."""

    title: str
    heads: tuple[str, ...]
    blocks: tuple[tuple[Line, ...], ...]
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


def lay_out(plan: Plan, cells: list[Cell], parity: list[str]) -> Sheet:
    """The sheet of scored cells (in the order of `score`); parity: notes on figures selected on test images."""
    compared = {cell.column.attack for cell in cells if cell.paper is not None}
    marks = Marks()
    pairs = iter(zip(cells, best(cells), strict=True))
    blocks = tuple(
        tuple(_line(row, [next(pairs) for _ in plan.columns], compared, marks) for row in block)
        for block in plan.blocks()
    )
    heads = tuple(head for column in plan.columns for head in _heads(column, column.attack in compared))
    versus = "paper: its published accuracy in %; diff.: ours less the paper's." if compared else ""
    general = [*_reading(cells), versus, _sizes(cells), *parity, *plan.notes]
    notes = [("", note) for note in general if note] + [(mark, note) for note, mark in marks.known.items()]
    return Sheet(plan.title, heads, blocks, tuple(notes))


def _heads(column: Column, compared: bool) -> tuple[str, ...]:
    return (column.label, "paper", "diff.") if compared else (column.label,)


def _line(row: Row, pairs: list[tuple[Cell, bool]], compared: set[str], marks: Marks) -> Line:
    noted = bool(compared) and row.paper_dataset is not None and row.paper_note
    label = Entry(row.label, marks=(marks.of(row.paper_note),) if noted else ())
    entries: list[Entry] = []
    for cell, is_best in pairs:
        entries.append(_entry(cell, is_best, marks))
        if cell.column.attack in compared:
            entries.extend(_beside(cell))
    return Line(row.title(), label, tuple(entries))


def _entry(cell: Cell, is_best: bool, marks: Marks) -> Entry:
    noted = tuple(marks.of(f"{gap.run}: {gap.reason}") for gap in cell.gaps)
    if cell.accuracy is None or cell.interval is None:
        return Entry(MISSING, marks=noted)
    low, high = cell.interval
    spread = f"[{low:.1f}, {high:.1f}]" if cell.sd is None else f"± {cell.sd:.2f}"
    return Entry(f"{cell.accuracy:.2f}", spread, noted, is_best)


def _beside(cell: Cell) -> tuple[Entry, Entry]:
    if cell.row.paper_dataset is None:
        return Entry(""), Entry("")
    paper = MISSING if cell.paper is None else f"{cell.paper:g}"
    difference = MISSING if cell.difference is None else f"{cell.difference:+.2f}".replace("-", "−")
    return Entry(paper), Entry(difference)


def _reading(cells: list[Cell]) -> Iterator[str]:
    if any(len(cell.fractions) == 1 for cell in cells):
        yield "One seed: accuracy in % [95 % Wilson interval for the test images]."
    counts = sorted({len(cell.fractions) for cell in cells} - {0, 1})
    if counts:
        seeds = " or ".join(map(str, counts))
        yield (
            f"{seeds} seeds: mean accuracy in % ± standard deviation over seeds (ddof 1). The seeds share the test "
            "images; the CSV's Wilson interval, taken at the mean count, speaks of the images alone."
        )
    if any(cell.fractions and cell.gaps for cell in cells):
        yield "A marked number is the mean over the seeds that are there."


def _sizes(cells: list[Cell]) -> str:
    """'Test images: Digits 360 (AA 200); SVHN 26032.'; a column is named where it differs from its data set's first."""
    parts: list[str] = []
    scored = (cell for cell in cells if cell.images)
    for (_, title), block in groupby(scored, key=lambda cell: (cell.row.dataset, cell.row.title())):
        columns: dict[str, set[int]] = {}
        for cell in block:
            columns.setdefault(cell.column.label, set()).add(cell.images)
        spelled = {label: "/".join(map(str, sorted(sizes))) for label, sizes in columns.items()}
        usual = next(iter(spelled.values()))
        others = ", ".join(f"{label} {size}" for label, size in spelled.items() if size != usual)
        parts.append(f"{title} {usual} ({others})" if others else f"{title} {usual}")
    return f"Test images: {'; '.join(parts)}." if parts else ""
