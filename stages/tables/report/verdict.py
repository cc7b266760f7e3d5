"""What the report opens on: the paper's cells beside ours, the claims, the worst certificate, what cannot be shown."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.job.progress import log_line
from stages.tables.certificates import Listed, named, read_certificate
from stages.tables.paper import Key, Published, key
from stages.tables.report.grid import Grid
from stages.tables.report.told import Report

ORDER = ("fail", "warn", "pass")
SIDES = ("inside", "above", "below", "not there")
SEEDS = 3  # fewer say nothing about a method


@dataclass(frozen=True)
class Cells:
    """The paper's numbers: those inside our intervals, those that ours is above or below, those without a figure here.

    asked: how many of them this experiment has a cell for.
    """

    counts: dict[str, int]
    asked: int
    total: int


@dataclass(frozen=True)
class Certified:
    """A checkpoint's certificate; found is None where it is missing."""

    listed: Listed
    found: dict[str, Any] | None
    checks: tuple[dict[str, Any], ...]

    @property
    def verdict(self) -> str:
        """pass, warn, fail or missing."""
        return "missing" if self.found is None else str(self.found["verdict"])

    @property
    def name(self) -> str:
        """Whose it is."""
        return f"{self.listed.row} on {self.listed.dataset}, seed {self.listed.seed}"

    def worst(self) -> list[str]:
        """The checks that failed, or if none did those that warned."""
        return [] if self.found is None else named(self.found, "fail") or named(self.found, "warn")


def compared(grids: Sequence[Grid], paper: dict[Key, Published]) -> Cells:
    """How our cells lie to the paper's numbers."""
    sides: dict[Key, str] = {}  # a number that two tables answer to counts once, where there is a figure
    for grid in grids:
        for shown in grid.cells():
            cell = shown.cell
            if cell.paper is not None:
                asked = key(grid.plan.paper or 0, cell.row.paper_dataset or "", cell.row.paper_row, cell.column.label)
                sides[asked] = sides.get(asked) or shown.side
    found = Counter(side or "not there" for side in sides.values())
    return Cells({side: found[side] for side in SIDES}, len(sides), len(paper))


def claims(path: Path | None) -> list[dict[str, Any]]:
    """The claims as the stage of their name judged them; none, and a line in the log, where they cannot be read."""
    if path is None:
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["claims"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        log_line(f"warning: {path}: no claims ({type(error).__name__}: {error})")
        return []
    return list(found)


def certified(listed: Sequence[Listed], root: Path) -> list[Certified]:
    """Every certificate with its checks, the worst of them first."""
    found = []
    for one in listed:
        certificate = read_certificate(root / one.path)
        checks = sorted(certificate["checks"], key=lambda check: ORDER.index(check["verdict"])) if certificate else ()
        found.append(Certified(one, certificate, tuple(checks)))
    return found


def cannot_show(report: Report, grids: Sequence[Grid]) -> list[str]:
    """Sentences on what the experiment's size leaves open."""
    cells = [shown.cell for grid in grids for shown in grid.cells()]
    seeds = max((len(cell.fractions) for cell in cells), default=0)
    sizes = sorted({cell.images for cell in cells if cell.images})
    told = []
    if seeds < SEEDS:
        told.append(
            f"{seeds or 'No'} seed{'s' * (seeds != 1)}: what is said here is said of these checkpoints; another seed"
            f" trains others, and a claim about methods needs {SEEDS} seeds or more."
        )
    else:
        told.append(f"{seeds} seeds: claims about methods rest on the spread between them.")
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
