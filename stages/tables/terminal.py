"""A table as aligned text for the terminal: below each number its interval or deviation."""

import textwrap

from stages.tables.sheet import Block, Entry, Line, Sheet

LEAST_WIDTH = 88
INDENT = "  "


def terminal_text(sheet: Sheet) -> str:
    """Title, a block a data set, and notes."""
    blocks = [_block(sheet.heads, block) for block in sheet.blocks]
    width = max(LEAST_WIDTH, *(len(line) for block in blocks for line in block))
    shown = [sheet.title]
    for block in blocks:
        shown += ["─" * width, *block]
    notes = [f"({mark}) {note}" if mark else note for mark, note in sheet.notes]
    shown += ["─" * width, *(line for note in notes for line in textwrap.wrap(note, width, subsequent_indent=INDENT))]
    return "\n".join(shown) + "\n"


def _block(heads: tuple[str, ...], block: Block) -> list[str]:
    """A data set's heads, what stands below them, and its lines."""
    labels = [block.dataset, "", *(part for line in block.lines for part in _label(line))]
    width = max(map(len, labels))
    columns = [[label.ljust(width) for label in labels]]
    for place, (head, size) in enumerate(zip(heads, block.sizes, strict=True)):
        columns.append(_column(head, size, [line.entries[place] for line in block.lines]))
    rows = ["  ".join(parts).rstrip() for parts in zip(*columns, strict=True)]
    return [row for row in rows if row]


def _label(line: Line) -> tuple[str, str]:
    indent = INDENT if line.below else ""
    return f"{indent}{line.label.text}{_marks(line.label)}", line.label.spread


def _column(head: str, size: str, entries: list[Entry]) -> list[str]:
    """The head, then two lines an entry, flush right: the number with its marks, and its spread."""
    texts = [part for entry in entries for part in (f"{entry.text}{entry.star}{_marks(entry)}", entry.spread)]
    width = max(len(head), len(size), *map(len, texts))
    return [text.rjust(width) for text in (head, size, *texts)]


def _marks(entry: Entry) -> str:
    return f"({','.join(entry.marks)})" if entry.marks else ""
