"""What a table says of its rows' certificates."""

from pathlib import Path

from stages.core.config.table_plan import Plan
from stages.tables.certificates import named, read_certificate

WORDS = {"fail": "failed", "warn": "warned"}


def certificate_notes(plan: Plan, root: Path) -> list[str]:
    """A sentence for those that pass, and one for each that does not: which checks, and where the evidence is."""
    passed: list[str] = []
    others: list[str] = []
    for block in plan.blocks():
        for row in block:
            for run in row.runs:
                if run.certificate is None:
                    continue
                found = read_certificate(root / run.certificate)
                name = row.label if len(row.runs) == 1 else f"{row.label} (seed {run.seed})"
                if found is None:
                    others.append(f"{name}: its certificate is missing ({run.certificate}).")
                elif found["verdict"] == "pass":
                    passed.append(f"{name} (L∞, ε = {255 * found['epsilon']:.3g}/255, n = {found['images']})")
                else:
                    checks = [f"{check} {word}" for verdict, word in WORDS.items() for check in named(found, verdict)]
                    evidence = Path(run.certificate).with_suffix(".md")
                    others.append(f"Certificate of {name}: {found['verdict']}: {'; '.join(checks)}; see {evidence}.")
    return ([f"Certificates that pass: {', '.join(passed)}."] if passed else []) + others
