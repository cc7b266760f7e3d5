"""A table as aligned text for the terminal."""

from stages.tables.sheet import Entry, Line, Sheet

LEGEND = "* best of its column and data set"


def terminal_text(sheet: Sheet) -> str:
    """Title, a block a data set, and notes; the best of a column and data set carries a star."""
    blocks = [_block(sheet.heads, block) for block in sheet.blocks]
    rule = "─" * max(len(line) for block in blocks for line in block)
    shown = [sheet.title]
    for block in blocks:
        shown += [rule, *block]
    starred = any(entry.best for block in sheet.blocks for line in block for entry in line.entries)
    shown += [rule, *([LEGEND] if starred else [])]
    shown += [f"({mark}) {note}" if mark else note for mark, note in sheet.notes]
    return "\n".join(shown) + "\n"


def _block(heads: tuple[str, ...], lines: tuple[Line, ...]) -> list[str]:
    """A data set's head and lines; columns that say nothing about it, as the paper's for another set, are left out."""
    labels = [lines[0].dataset, *(line.label.text + _marks(line.label) for line in lines)]
    width = max(map(len, labels))
    columns = [[label.ljust(width) for label in labels]]
    for place, head in enumerate(heads):
        entries = [line.entries[place] for line in lines]
        if any(entry.text for entry in entries):
            columns.append(_column(head, entries))
    return ["  ".join(parts).rstrip() for parts in zip(*columns, strict=True)]


def _column(head: str, entries: list[Entry]) -> list[str]:
    """Head and entries, flush right; marks hang to the right of the numbers."""
    bases = [
        f"{entry.text}{'*' if entry.best else ' '} {entry.spread}" if entry.spread else entry.text for entry in entries
    ]
    marks = [_marks(entry) for entry in entries]
    wide, narrow = max(map(len, bases)), max(map(len, marks))
    texts = [base.rjust(wide) + mark.ljust(narrow) for base, mark in zip(bases, marks, strict=True)]
    width = max(len(head), wide + narrow)
    return [head.rjust(width), *(text.rjust(width) for text in texts)]


def _marks(entry: Entry) -> str:
    return f"({','.join(entry.marks)})" if entry.marks else ""
