"""What the report opens on: the paper's cells beside ours, the claims, the worst certificate, what cannot be shown."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from stages.tables.certificates import Listed
from stages.tables.paper import Key, Published, key
from stages.tables.report.grid import Grid
from stages.tables.report.read import Certificate, Check, Claims, Judged, read
from stages.tables.report.told import Report

WORST = ("fail", "warn", "missing", "pass")
SIDES = ("inside", "above", "below", "not there")
SEEDS = 3  # fewer say nothing about a method


@dataclass(frozen=True)
class Cells:
    """The paper's numbers: those inside our intervals, those that ours is above or below, those without a figure here.

    asked: how many of them this experiment has a cell for; reach: how far half of the intervals reach to a side;
    notes: how our data sets differ from the paper's; answering: whether any table answers to one of the paper's.
    """

    counts: dict[str, int]
    asked: int
    total: int
    reach: float
    notes: tuple[str, ...]
    answering: bool


@dataclass(frozen=True)
class Certified:
    """A checkpoint's certificate; found is None where it is missing. checks: the worst first."""

    listed: Listed
    found: Certificate | None
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> str:
        """pass, warn, fail or missing."""
        return "missing" if self.found is None else self.found.verdict

    @property
    def name(self) -> str:
        """Whose it is."""
        return f"{self.listed.row} on {self.listed.dataset}, seed {self.listed.seed}"

    def worst(self) -> list[str]:
        """The checks that failed, or if none did those that warned."""
        return [] if self.found is None else self.found.named("fail") or self.found.named("warn")


def compared(report: Report, grids: Sequence[Grid], paper: dict[Key, Published]) -> Cells:
    """How our cells lie to the paper's numbers."""
    sides: dict[Key, str] = {}  # a number that two tables answer to counts once, where there is a figure
    reaches: list[float] = []
    notes: list[str] = []
    for grid in grids:
        for shown in grid.cells():
            cell = shown.cell
            if cell.paper is not None:
                asked = key(grid.plan.paper or 0, cell.row.paper_dataset or "", cell.row.paper_row, cell.column.label)
                sides[asked] = sides.get(asked) or shown.side
                reaches += [(shown.bounds[1] - shown.bounds[0]) / 2] if shown.bounds else []
                notes += [cell.row.paper_note] if cell.row.paper_note else []
    found = Counter(side or "not there" for side in sides.values())
    return Cells(
        {side: found[side] for side in SIDES},
        len(sides),
        len(paper),
        median(reaches) if reaches else 0.0,
        tuple(dict.fromkeys(notes)),
        any(plan.paper is not None for plan in report.plans),
    )


def claims(path: Path | None) -> tuple[Judged, ...]:
    """The claims as the stage of their name judged them; none, and a line in the log, where they cannot be read."""
    found = None if path is None else read(path, Claims)
    return () if found is None else found.claims


def certified(listed: Sequence[Listed], root: Path) -> list[Certified]:
    """Every certificate with its checks, the worst first of both."""
    found = []
    for one in listed:
        certificate = read(root / one.path, Certificate)
        checks = sorted(certificate.checks, key=lambda check: WORST.index(check.verdict)) if certificate else ()
        found.append(Certified(one, certificate, tuple(checks)))
    return sorted(found, key=lambda one: WORST.index(one.verdict))


def cannot_show(report: Report, grids: Sequence[Grid]) -> list[str]:
    """Sentences on what the experiment's size leaves open."""
    cells = [shown.cell for grid in grids for shown in grid.cells()]
    seeds = sorted({len(cell.fractions) for cell in cells if cell.fractions})
    seeds = seeds or sorted({len(row.runs) for plan in report.plans for row in plan.rows if not plan.columns})
    told = []
    if seeds:
        count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        head = f"{count} seed{'s' * (seeds != [1])}"
        if seeds[0] < SEEDS:
            told.append(
                f"{head}: where there are fewer than {SEEDS}, what is said is said of these checkpoints; another seed"
                " trains others."
            )
        else:
            told.append(f"{head}: claims about methods rest on the spread between them.")
    sizes = sorted({cell.images for cell in cells if cell.images})
    if sizes:
        widest = 100 * 0.98 / sizes[0] ** 0.5
        images = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        told.append(
            f"{images} test images a cell: on {sizes[0]:,} images the 95 % interval of one accuracy reaches up to"
            f" {widest:.1f} points to each side."
        )
    gaps = sorted({gap.run for cell in cells for gap in cell.gaps})
    if gaps:
        named_gaps = ", ".join(gaps[:8]) + (f" and {len(gaps) - 8} more" if len(gaps) > 8 else "")
        told.append(f"Missing: {named_gaps}.")
    return told
