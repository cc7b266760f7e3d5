"""What a table says of its rows' certificates."""

from pathlib import Path

from stages.core.config.table_plan import Plan
from stages.tables.certificates import named, read_certificate

WORDS = {"fail": "failed", "warn": "warned"}


def certificate_notes(plan: Plan, root: Path) -> list[str]:
    """A sentence for those that pass, those that are missing, and each that does not pass: which checks, and where."""
    passed: dict[str, dict[str, list[str]]] = {}
    missing: dict[str, list[str]] = {}
    others: list[str] = []
    blocks = plan.blocks()
    for row in (row for block in blocks for row in block):
        name = row.label if len(blocks) == 1 else f"{row.label} on {row.title()}"
        for run in row.runs:
            if run.certificate is None:
                continue
            found = read_certificate(root / run.certificate)
            seed = [str(run.seed)] if len(row.runs) > 1 else []
            if found is None:
                missing.setdefault(name, []).extend(seed)
            elif found["verdict"] == "pass":
                under = f"L∞, ε = {255 * found['epsilon']:.3g}/255, n = {found['images']}"
                passed.setdefault(under, {}).setdefault(name, []).extend(seed)
            else:
                one = _listed({name: seed})
                checks = [f"{check} {word}" for verdict, word in WORDS.items() for check in named(found, verdict)]
                evidence = Path(run.certificate).with_suffix(".md")
                others.append(f"Certificate of {one}: {found['verdict']}: {'; '.join(checks)}; see {evidence}.")
    notes = [f"Certificates that pass ({under}): {_listed(names)}." for under, names in passed.items()]
    notes += [f"Certificates that are missing: {_listed(missing)}."] if missing else []
    return notes + others


def _listed(names: dict[str, list[str]]) -> str:
    words = {
        name: f" (seed{'s' * (len(seeds) > 1)} {', '.join(seeds)})" if seeds else "" for name, seeds in names.items()
    }
    return ", ".join(name + of for name, of in words.items())
