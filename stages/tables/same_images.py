"""The clean accuracy on the images of a robust figure, where the clean figure rests on more."""

from collections.abc import Sequence

from stages.tables.cells import Cell


def same_images_notes(cells: Sequence[Cell]) -> list[str]:
    """One sentence a data set and part of its images; attacks on the same images share it."""
    columns: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        if cell.clean_on_same is not None:
            place = cell.row.dataset, cell.row.title(), cell.column.label
            columns.setdefault(place, []).append(cell)
    sentences: dict[tuple[str, str, str], list[str]] = {}
    for (_, title, label), under in columns.items():
        sizes = "/".join(map(str, sorted({cell.images for cell in under})))
        figures = ", ".join(f"{cell.row.label} {cell.clean_on_same:.2f}" for cell in under)
        sentences.setdefault((title, sizes, figures), []).append(label)
    return [
        f"Clean accuracy in % on the {sizes} images of {', '.join(labels)} on {title}: {figures}."
        for (title, sizes, figures), labels in sentences.items()
    ]
