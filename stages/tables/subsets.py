"""What a table says of columns that rest on a part of the test images."""

from collections.abc import Sequence

from stages.core.config.table_plan import Column, Plan
from stages.tables.cells import Cell

WORDS = {
    "first": "the first {n:,} test images of the file",
    "stratified": "{n:,} of the test images, drawn once for all rows, classes in proportion",
}


def subset_notes(plan: Plan, cells: Sequence[Cell]) -> list[str]:
    """One sentence for the columns of the same part, and one where more images are asked for than a data set has."""
    groups: dict[tuple[str, int], list[Column]] = {}
    for column in plan.columns:
        if column.settings is not None and column.settings.images is not None:
            groups.setdefault((column.settings.subset, column.settings.images), []).append(column)
    notes: list[str] = []
    for (subset, wanted), columns in groups.items():
        labels = ", ".join(column.label for column in columns)
        sizes = {cell.row.title(): cell.images for cell in cells if cell.column in columns and cell.images}
        if any(size >= wanted for size in sizes.values()):
            notes.append(f"{labels}: {WORDS[subset].format(n=wanted)}.")
        if short := [f"{title} has {size:,}" for title, size in sizes.items() if size < wanted]:
            notes.append(f"{labels}: {wanted:,} test images are asked for; {', '.join(short)}, all are taken.")
    return notes
