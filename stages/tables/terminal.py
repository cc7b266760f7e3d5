"""A table as aligned text for the terminal: below each number its interval or deviation."""

import textwrap

from stages.tables.sheet import Entry, Line, Sheet

LEGEND = "* best of its column and data set"
LEAST_WIDTH = 88


def terminal_text(sheet: Sheet) -> str:
    """Title, a block a data set, and notes; the best of a column and data set carries a star."""
    blocks = [_block(sheet.heads, block) for block in sheet.blocks]
    width = max(LEAST_WIDTH, *(len(line) for block in blocks for line in block))
    shown = [sheet.title]
    for block in blocks:
        shown += ["─" * width, *block]
    starred = any(entry.best for block in sheet.blocks for line in block for entry in line.entries)
    notes = [LEGEND] if starred else []
    notes += [f"({mark}) {note}" if mark else note for mark, note in sheet.notes]
    shown += ["─" * width, *(line for note in notes for line in textwrap.wrap(note, width, subsequent_indent="  "))]
    return "\n".join(shown) + "\n"


def _block(heads: tuple[str, ...], lines: tuple[Line, ...]) -> list[str]:
    """A data set's head and lines; columns that say nothing about it, as the paper's for another set, are left out."""
    labels = [lines[0].dataset, *(part for line in lines for part in (line.label.text + _marks(line.label), ""))]
    width = max(map(len, labels))
    columns = [[label.ljust(width) for label in labels]]
    for place, head in enumerate(heads):
        entries = [line.entries[place] for line in lines]
        if any(entry.text for entry in entries):
            columns.append(_column(head, entries))
    rows = ["  ".join(parts).rstrip() for parts in zip(*columns, strict=True)]
    return [row for row in rows if row]


def _column(head: str, entries: list[Entry]) -> list[str]:
    """The head, then two lines an entry, flush right: the number with its marks, and its spread."""
    texts = [
        part for entry in entries for part in (f"{entry.text}{'*' if entry.best else ''}{_marks(entry)}", entry.spread)
    ]
    width = max(len(head), *map(len, texts))
    return [head.rjust(width), *(text.rjust(width) for text in texts)]


def _marks(entry: Entry) -> str:
    return f"({','.join(entry.marks)})" if entry.marks else ""
