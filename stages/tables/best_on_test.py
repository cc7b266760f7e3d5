"""The figures that test images would have selected, beside ours, which are selected on held-out training images.

Published tables of adversarial training often report the epoch that is best on the test set. A training run's manifest
keeps that epoch's clean and PGD accuracy under `facts.test_selected`, with the number of images and the attack. They
are shown where a column of the table has the same: the same PGD on the same images. AutoAttack is never selected on.
"""

from math import isclose
from pathlib import Path
from statistics import fmean
from typing import Any

from stages.core.config.table_plan import Column, Plan, Row
from stages.core.errors import ArtifactError
from stages.core.job.progress import log_line
from stages.core.manifests import read_manifest
from stages.tables.cells import Cell


def best_on_test_notes(plan: Plan, cells: list[Cell], root: Path) -> list[str]:
    """One sentence a row that has such figures: means over its seeds, in percent. cells: those of the plan."""
    notes = [_note(row, [cell for cell in cells if cell.row is row], root) for block in plan.blocks() for row in block]
    return [note for note in notes if note]


def _note(row: Row, cells: list[Cell], root: Path) -> str:
    found: list[dict[str, Any]] = []
    missing: list[str] = []
    for run in row.runs:
        if run.test_selected is None:
            continue
        try:
            found.append(read_manifest(root / run.test_selected)["facts"]["test_selected"])
        except (ArtifactError, KeyError, TypeError) as error:
            log_line(f"warning: {run.test_selected}: no test-selected figures ({type(error).__name__}: {error})")
            missing.append(run.name)
    beside = [cell for cell in cells if all(_same(facts, cell) for facts in found)]
    if not found or not beside:
        return ""
    epochs = ", ".join(str(facts["epoch"]) for facts in found)
    clean, pgd = (100 * fmean(facts[name] for facts in found) for name in ("clean", "pgd"))
    label, n = beside[0].column.label, beside[0].images
    lost = f"; missing: {', '.join(missing)}" if missing else ""
    return (
        f"For parity, {row.label} on {row.title()} with the epoch selected on test images ({epochs}): clean"
        f" {clean:.2f}, {label} {pgd:.2f}, both on the n = {n:,} images of {label}{lost}."
    )


def _same(facts: dict[str, Any], cell: Cell) -> bool:
    """Whether figures rest on a cell's attack and images. A manifest of before these were recorded does not say."""
    recorded = {"n", "subset", "attack"} <= facts.keys()
    return recorded and _same_attack(facts["attack"], cell.column) and _same_images(facts, cell)


def _same_attack(attack: dict[str, Any], column: Column) -> bool:
    settings = column.settings
    if settings is None or settings.kind != "pgd" or settings.norm != attack["norm"]:
        return False
    theirs = {"epsilon": settings.epsilon, **settings.options}
    mine = {"restarts": 1, "random_start": True, **attack}
    return all(isclose(theirs[name], mine[name]) for name in theirs)


def _same_images(facts: dict[str, Any], cell: Cell) -> bool:
    """As many, and drawn alike or all of them."""
    settings = cell.column.settings
    if settings is None or facts["n"] != cell.images:
        return False
    all_taken = settings.images is None or settings.images > cell.images or facts["subset"] == "all"
    return all_taken or facts["subset"] == settings.subset
