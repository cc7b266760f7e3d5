"""The figures that test images would have selected, beside ours, which are selected on held-out training images.

Published tables of adversarial training often report the epoch that is best on the test set. A training run's manifest
keeps that epoch's clean and PGD accuracy under `facts.test_selected`; AutoAttack is never selected on.
"""

import json
from pathlib import Path
from statistics import fmean

from stages.core.progress import say
from stages.tables.plan import Plan, Row


def parity_notes(plan: Plan, root: Path) -> list[str]:
    """One sentence a row that has such figures: means over its seeds, in percent."""
    notes = [_note(row, root) for block in plan.blocks() for row in block]
    return [note for note in notes if note]


def _note(row: Row, root: Path) -> str:
    found: list[tuple[int, float, float]] = []
    missing: list[str] = []
    for run in row.runs:
        if run.test_selected is None:
            continue
        try:
            facts = json.loads((root / run.test_selected).read_text(encoding="utf-8"))["facts"]["test_selected"]
            found.append((int(facts["epoch"]), float(facts["clean"]), float(facts["pgd"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            say(f"warning: {run.test_selected}: no test-selected figures ({type(error).__name__}: {error})")
            missing.append(run.name)
    if not found and not missing:
        return ""
    start = f"For parity, {row.label} on {row.title()} with the epoch selected on test images"
    lost = f"; missing: {', '.join(missing)}" if missing else ""
    if not found:
        return f"{start}{lost}."
    epochs = ", ".join(str(epoch) for epoch, _, _ in found)
    clean, pgd = (100 * fmean(values) for values in list(zip(*found, strict=True))[1:])
    return f"{start} ({epochs}): clean {clean:.2f}, PGD {pgd:.2f}{lost}."
