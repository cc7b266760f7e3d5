"""What a table says of its rows' certificates."""

from pathlib import Path

from stages.core.config.table_plan import Plan
from stages.tables.certificates import named, read_certificate

WORDS = {"fail": "failed", "warn": "warned"}


def certificate_notes(plan: Plan, root: Path) -> list[str]:
    """A sentence for those that pass, and one for each that does not: which checks, and where the evidence is."""
    passed: dict[str, dict[str, list[str]]] = {}
    others: list[str] = []
    blocks = plan.blocks()
    for row in (row for block in blocks for row in block):
        name = row.label if len(blocks) == 1 else f"{row.label} on {row.title()}"
        for run in row.runs:
            if run.certificate is None:
                continue
            found = read_certificate(root / run.certificate)
            one = name if len(row.runs) == 1 else f"{name} (seed {run.seed})"
            if found is None:
                others.append(f"{one}: its certificate is missing ({run.certificate}).")
            elif found["verdict"] == "pass":
                under = f"L∞, ε = {255 * found['epsilon']:.3g}/255, n = {found['images']}"
                seeds = passed.setdefault(under, {}).setdefault(name, [])
                seeds += [str(run.seed)] if len(row.runs) > 1 else []
            else:
                checks = [f"{check} {word}" for verdict, word in WORDS.items() for check in named(found, verdict)]
                evidence = Path(run.certificate).with_suffix(".md")
                others.append(f"Certificate of {one}: {found['verdict']}: {'; '.join(checks)}; see {evidence}.")
    return [f"Certificates that pass ({under}): {_listed(names)}." for under, names in passed.items()] + others


def _listed(names: dict[str, list[str]]) -> str:
    words = {
        name: f" (seed{'s' * (len(seeds) > 1)} {', '.join(seeds)})" if seeds else "" for name, seeds in names.items()
    }
    return ", ".join(name + of for name, of in words.items())
