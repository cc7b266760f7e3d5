"""Robust accuracy against the radius, from attacks that are given `epsilons`: a line for each method, from clean on."""

from collections.abc import Sequence

from stages.core.config.table_plan import Column
from stages.core.files import canonical_json
from stages.tables.cells import Cell
from stages.tables.report.chart import Chart, Series
from stages.tables.report.grid import Block, Grid, bounds

LEVELS = 255
Point = tuple[float, float, float, float]  # radius, accuracy, its bounds


def ladders(grids: Sequence[Grid]) -> list[Chart]:
    """A chart for each attack with several radii in a table's block; bands are the cells' 95 % intervals."""
    return [
        _chart(grid, block, columns) for grid in grids for block in grid.blocks for columns in _rungs(grid.plan.columns)
    ]


def _rungs(columns: Sequence[Column]) -> list[list[Column]]:
    """The columns that are one attack at several radii: of a key up to its last dot, alike but for radius and step."""
    groups: dict[tuple[str, str], list[Column]] = {}
    for column in columns:
        base, dot, _ = column.attack.rpartition(".")
        if column.settings is not None and dot:
            told = column.settings.model_dump(mode="json", exclude={"label", "epsilon", "epsilons"})
            told["options"].pop("step_size", None)
            groups.setdefault((base, canonical_json(told)), []).append(column)
    return [found for found in groups.values() if len({_radius(column) for column in found}) == len(found) > 1]


def _radius(column: Column) -> float:
    """In 255ths under L-infinity, as it is under L2."""
    settings = column.settings
    if settings is None:
        return 0.0
    return settings.epsilon * (LEVELS if settings.norm == "linf" else 1)


def _chart(grid: Grid, block: Block, columns: list[Column]) -> Chart:
    settings = columns[0].settings
    linf = settings is not None and settings.norm == "linf"
    by_row: dict[str, list[Cell]] = {}
    for shown in (cell for line in block.lines for cell in line.cells):
        if shown.cell.column in columns and shown.cell.verdicts:
            by_row.setdefault(shown.cell.row.label, []).append(shown.cell)
    series = [_series(row, cells, color) for color, (row, cells) in enumerate(by_row.items())]
    title = f"{columns[0].label.partition(' ε')[0]} on {block.title}, {grid.plan.table}"
    return Chart(title, "ε in 255ths (L∞)" if linf else "ε (L2)", "robust accuracy in %", series, zero=True)


def _series(row: str, cells: Sequence[Cell], color: int) -> Series:
    points = sorted([*_clean(cells), *(_point(_radius(cell.column), cell) for cell in cells)])
    x, y, low, high = zip(*points, strict=True)
    return Series(row, x, y, low, high, color)


def _point(radius: float, cell: Cell) -> Point:
    low, high = bounds(cell) or (0.0, 100.0)
    return radius, cell.accuracy or 0.0, low, high


def _clean(cells: Sequence[Cell]) -> list[Point]:
    """The clean accuracy at radius 0, where all radii rest on the same seeds and images."""
    grounds = {tuple((one.seed, one.index.tobytes()) for one in cell.verdicts) for cell in cells}
    if len(grounds) > 1:
        return []
    first = cells[0]
    clean = tuple(float(one.clean.mean()) for one in first.verdicts)
    return [_point(0.0, Cell(first.row, first.column, clean, first.images))]
