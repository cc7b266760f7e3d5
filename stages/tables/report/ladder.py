"""Robust accuracy against the radius, from attacks that are given `epsilons`: a line for each method, from clean on."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from stages.core.config.table_plan import Column
from stages.tables.report.chart import Chart, Series
from stages.tables.report.grid import Block, Grid, Shown, bounds

LEVELS = 255


def ladders(grids: Sequence[Grid]) -> list[Chart]:
    """A chart for each attack with several radii in a table's block; bands are the cells' 95 % intervals."""
    charts = []
    for grid in grids:
        for block in grid.blocks:
            for base, columns in _rungs(grid.plan.columns).items():
                charts.append(_chart(grid, block, base, columns))
    return charts


def _rungs(columns: Sequence[Column]) -> dict[str, list[Column]]:
    """The columns of one attack at several radii, by its key; a rung's key ends with a dot and its radius."""
    groups: dict[str, list[Column]] = {}
    for column in columns:
        if column.settings is not None and "." in column.attack and not column.is_clean:
            groups.setdefault(column.attack.partition(".")[0], []).append(column)
    return {base: found for base, found in groups.items() if len(found) > 1}


def _chart(grid: Grid, block: Block, base: str, columns: list[Column]) -> Chart:
    settings = columns[0].settings
    linf = settings is not None and settings.norm == "linf"
    label = columns[0].label.partition(" ε")[0]
    by_row: dict[str, list[Shown]] = {}
    for shown in (cell for line in block.lines for cell in line.cells):
        if shown.cell.column in columns:
            by_row.setdefault(shown.cell.row.label, []).append(shown)
    series = [_series(row, cells, LEVELS if linf else 1, color) for color, (row, cells) in enumerate(by_row.items())]
    unit = "ε in 255ths (L∞)" if linf else "ε (L2)"
    return Chart(f"{label} on {block.title}, {grid.plan.table}", unit, "robust accuracy in %", series, zero=True)


def _series(row: str, cells: list[Shown], scale: int, color: int) -> Series:
    points = sorted(_points(cells, scale))
    x, y, low, high = (tuple(column) for column in zip(*points, strict=True)) if points else ((), (), (), ())
    return Series(row, x, y, low, high, color)


def _points(cells: list[Shown], scale: int) -> Iterator[tuple[float, float, float, float]]:
    """(radius, accuracy, its bounds) of those that are there, and the clean accuracy on the same images at 0."""
    there = [shown.cell for shown in cells if shown.cell.verdicts]
    if there:
        clean = 100 * fmean(float(verdicts.clean.mean()) for verdicts in there[0].verdicts)
        yield 0.0, clean, clean, clean
    for cell in there:
        within = bounds(cell)
        if cell.column.settings is not None and cell.accuracy is not None and within is not None:
            yield cell.column.settings.epsilon * scale, cell.accuracy, *within
