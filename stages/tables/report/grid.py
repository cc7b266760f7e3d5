"""The tables as the report shows them: each cell with its interval, the paper's number, and the evidence behind it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import hypot, sqrt
from pathlib import Path, PurePosixPath
from statistics import fmean

from scipy.stats import t

from stages.core.config.table_plan import Column, Plan, Row, Run
from stages.core.errors import ArtifactError
from stages.core.outcomes import read_outcomes
from stages.tables.cells import Cell, score
from stages.tables.paper import Key, Published
from stages.tables.remarks import remarks
from stages.tables.report.files import Files, Link, of_job
from stages.tables.report.runs import Trained
from stages.tables.sheet import PARTIAL, lay_out
from stages.tables.stars import stars
from stages.tables.verdicts import Verdicts

Bounds = tuple[float, float]
Runs = Mapping[tuple[str, str], Trained]


@dataclass(frozen=True)
class OfSeed:
    """A seed's figure in a cell, in percent: of its images, how many are broken and by what; its seconds and files."""

    seed: int
    accuracy: float
    broken: int
    images: int
    broken_by: tuple[tuple[str, int], ...]
    seconds: float | None
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Shown:
    """A cell of the page. side: where the paper's number lies of our interval: inside, above, below or none."""

    anchor: str
    cell: Cell
    star: str
    bounds: Bounds | None
    side: str
    worst: str
    seeds: tuple[OfSeed, ...]
    run: Trained


@dataclass(frozen=True)
class Line:
    """A row of a block; n: how many images its cells rest on, where the heads do not say it."""

    label: str
    n: str
    cells: tuple[Shown, ...]


@dataclass(frozen=True)
class Block:
    """A data set's part of a table: its heads with the number of images below them, and its rows.

    note: how it differs from the paper's data set.
    """

    title: str
    note: str
    corner: str
    heads: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Grid:
    """A table."""

    plan: Plan
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]

    def cells(self) -> list[Shown]:
        """All, in the order of the page."""
        return [cell for block in self.blocks for line in block.lines for cell in line.cells]


def grids(plans: Sequence[Plan], paper: dict[Key, Published], runs: Runs, files: Files) -> list[Grid]:
    """The tables among the plans, scored from their outcomes."""
    anchors, broken = (f"cell-{place}" for place in count()), BrokenBy(files.root)
    return [_grid(plan, paper, runs, files, anchors, broken) for plan in plans if plan.kind == "table"]


def bounds(cell: Cell) -> Bounds | None:
    """The 95 % interval that the paper's number is held against, in percent.

    Of one seed Wilson's, of the draw of the images. Of several the seeds could have been others too: to each side the
    root of the sum of squares of Wilson's reach and of Student's for the seeds' mean. Simulated, it covers at least
    95 %, where the union of the two covers 90 to 92 % with seeds of 3 to 4 points' deviation.
    """
    if cell.interval is None:
        return None
    low, high = cell.interval
    seeds = len(cell.fractions)
    if cell.sd is not None:
        half = float(t.ppf(0.975, seeds - 1)) * cell.sd / sqrt(seeds)
        mean = 100 * fmean(cell.fractions)
        low, high = max(0.0, mean - hypot(mean - low, half)), min(100.0, mean + hypot(high - mean, half))
    return low, high


def _grid(
    plan: Plan, paper: dict[Key, Published], runs: Runs, files: Files, anchors: Iterator[str], broken: "BrokenBy"
) -> Grid:
    cells = score(plan, files.root, paper)
    starred = iter(zip(cells, stars(cells), strict=True))
    blocks = []
    for rows in plan.blocks():
        pairs = [[next(starred) for _ in plan.columns] for _ in rows]
        shown = [[_shown(pair, row, runs, files, broken, next(anchors)) for pair in row] for row in pairs]
        blocks.append((_by_attack if plan.layout == "attacks" else _by_method)(rows, plan.columns, shown))
    sheet = lay_out(plan, cells, remarks(plan, cells, files.root))
    return Grid(plan, tuple(blocks), tuple(note for _, note in sheet.notes if note != PARTIAL))


def _by_method(rows: Sequence[Row], columns: Sequence[Column], shown: list[list[Shown]]) -> Block:
    heads = tuple(
        (column.label, _images(cells)) for column, cells in zip(columns, zip(*shown, strict=True), strict=True)
    )
    lines = (Line(row.label, "", tuple(cells)) for row, cells in zip(rows, shown, strict=True))
    return Block(rows[0].title(), _paper_note(shown), "Method", heads, tuple(lines))


def _by_attack(rows: Sequence[Row], columns: Sequence[Column], shown: list[list[Shown]]) -> Block:
    across = zip(columns, zip(*shown, strict=True), strict=True)
    lines = (Line(column.label, _images(cells), cells) for column, cells in across)
    return Block(rows[0].title(), _paper_note(shown), "Attack", tuple((row.label, "") for row in rows), tuple(lines))


def _paper_note(shown: Sequence[Sequence[Shown]]) -> str:
    """What is to be known of the paper's numbers beside ours, where there are any."""
    return next((one.cell.row.paper_note for row in shown for one in row if one.cell.paper is not None), "")


def _images(shown: Sequence[Shown]) -> str:
    sizes = sorted({one.cell.images for one in shown if one.cell.images})
    return f"n = {'/'.join(f'{size:,}' for size in sizes)}" if sizes else ""


def _shown(
    pair: tuple[Cell, str],
    row: list[tuple[Cell, str]],
    runs: Runs,
    files: Files,
    broken: "BrokenBy",
    anchor: str,
) -> Shown:
    cell, star = pair
    within = bounds(cell)
    return Shown(
        anchor,
        cell,
        star,
        within,
        _side(cell, within),
        _worst(cell, [other for other, _ in row]),
        tuple(_of_seed(run, cell.column, found, files, broken) for run, found in _found(cell)),
        runs[cell.row.dataset, cell.row.runs[0].name],
    )


def _worst(cell: Cell, row: Sequence[Cell]) -> str:
    """Of the attacks in this cell's ball, on as many images, the one that leaves the least; '' where it is alone."""

    def ball(one: Cell) -> tuple[str, float, int] | None:
        attack = one.column.settings
        known = attack is not None and attack.bounded and one.accuracy is not None and not one.column.is_clean
        return (attack.norm, attack.epsilon, one.images) if attack and known else None

    inside = [other for other in row if ball(cell) is not None and ball(other) == ball(cell)]
    worst = min(inside, key=lambda other: other.accuracy or 0.0, default=cell)
    return f"{worst.column.label}, {worst.accuracy:.2f}" if len(inside) > 1 else ""


def _side(cell: Cell, within: Bounds | None) -> str:
    """Where the paper's number lies, seen from ours: ours is above it, below it, or it is inside our interval."""
    if cell.paper is None or within is None:
        return ""
    low, high = within
    published = float(cell.paper)
    return "above" if low > published else "below" if high < published else "inside"


def _found(cell: Cell) -> Iterator[tuple[Run, Verdicts]]:
    by_seed = {verdicts.seed: verdicts for verdicts in cell.verdicts}
    return ((run, by_seed[run.seed]) for run in cell.row.runs if run.seed in by_seed)


def _of_seed(run: Run, column: Column, found: Verdicts, files: Files, broken: "BrokenBy") -> OfSeed:
    outcome = run.outcomes[column.attack]
    manifest = str(PurePosixPath(outcome.path).with_suffix(".json"))
    attack = files.maker(manifest)
    told = files.manifest(attack.manifest) if attack else None
    facts = told.facts.attacks.get(outcome.attack) if told else None
    images, robust = len(found.robust), int(found.robust.sum())
    return OfSeed(
        run.seed,
        100 * robust / images,
        images - robust,
        images,
        broken.of(outcome.path, outcome.attack),
        facts.seconds if facts else None,
        (files.link("outcomes", outcome.path), *of_job(files, attack)),
    )


class BrokenBy:
    """Which member of an ensemble of attacks broke how many images, where a file of outcomes tells."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._counts: dict[str, dict[str, Counter[str]]] = {}

    def of(self, path: str, attack: str) -> tuple[tuple[str, int], ...]:
        """Members and counts, most first; nothing for an attack that does not tell."""
        if path not in self._counts:
            self._counts[path] = self._read(self._root / path)
        return tuple(self._counts[path].get(attack, Counter()).most_common())

    def _read(self, path: Path) -> dict[str, Counter[str]]:
        try:
            table = read_outcomes(path)
        except ArtifactError:  # its cells say so already
            return {}
        counts: dict[str, Counter[str]] = {}
        if "broken_by" in table.column_names:
            for attack, member in zip(table["attack"].to_pylist(), table["broken_by"].to_pylist(), strict=True):
                if member:
                    counts.setdefault(attack, Counter())[member] += 1
        return counts
