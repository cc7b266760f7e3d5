"""What a table says of its images, of figures for parity and of certificates, besides what its layout says."""

from pathlib import Path

from stages.core.config.table_plan import Plan
from stages.tables.best_on_test import best_on_test_notes
from stages.tables.cells import Cell
from stages.tables.certified import certificate_notes
from stages.tables.subsets import subset_notes


def remarks(plan: Plan, cells: list[Cell], root: Path) -> list[str]:
    """A sentence each. cells: those of the plan; root: what its paths are relative to."""
    return [*subset_notes(plan, cells), *best_on_test_notes(plan, cells, root), *certificate_notes(plan, root)]
