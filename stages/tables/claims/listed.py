"""Judged claims as a CSV and as JSON, rounded so that no byte hangs on a last bit.

In claims.json a comparison's `difference` is a less b, positive as claimed, in percentage points or a loss's own unit;
`low` and `high` are its 95 % interval on these checkpoints; p-values are two-sided and of the difference plus `margin`.
`named` counts the comparisons that the claim names, `asked` those that the experiment's tables ask for, `judged` those
that have data. An answer's `partly` is `yes` where it is undecided for want of the others alone, else null; its `by` is
`sign` where it is a loss's sign and no test's.
"""

from collections.abc import Sequence
from typing import Any

from stages.core.config.claims import Higher, Loss
from stages.tables.claims.asked import Comparison
from stages.tables.claims.decides import decides, reason
from stages.tables.claims.evidence import LEVEL, Evidence, Tails
from stages.tables.claims.judge import SCOPES, Answer, Judged, family
from stages.tables.claims.measured import Measured

CSV_HEAD = (
    *("claim", "text", "source", "paper", "named", "asked", "judged", "seeds"),
    *("checkpoints", "checkpoints_p", "checkpoints_holm", "methods", "methods_p", "methods_holm", "decides"),
)


def record(experiment: str, claims: Sequence[Judged]) -> dict[str, Any]:
    """All of claims.json."""
    tested = {scope: len(family(claims, scope)) for scope in SCOPES}
    return {
        "experiment": experiment,
        "level": LEVEL,
        "claims": [_claim(judged, reason(judged, tested)) for judged in claims],
    }


def csv_lines(record: dict[str, Any]) -> list[list[str]]:
    """The lines of claims.csv, of what claims.json holds."""
    return [
        [
            *(one["name"], one["text"], one["source"], one["paper"]["answer"] or ""),
            *map(str, (one["named"], one["asked"], one["judged"], one["seeds"])),
            *(_text(one[scope][part]) for scope in SCOPES for part in ("answer", "p", "holm")),
            one["decides"],
        ]
        for one in record["claims"]
    ]


def _text(value: str | float | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.4g}"


def _claim(judged: Judged, why: str) -> dict[str, Any]:
    claim = judged.claim
    return {
        "name": judged.name,
        "text": claim.text,
        "source": claim.source,
        "own": judged.own,
        "kind": claim.kind,
        "margin": claim.margin if isinstance(claim, Higher) else 0.0,
        "paper": judged.paper,
        "named": judged.named,
        "asked": judged.asked,
        "judged": len(judged.found),
        "seeds": judged.seeds,
        "missing": list(judged.missing),
        **{scope: _answer(judged.answers[scope]) for scope in SCOPES},
        "reason": why,
        "decides": decides(judged),
        "comparisons": [_comparison(*pair, isinstance(claim, Loss)) for pair in judged.found],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "answer": answer.answer,
        "p": _figures(answer.p),
        "holm": _figures(answer.holm),
        "partly": answer.partly,
        "by": answer.by,
    }


def _comparison(one: Comparison[Measured], evidence: Evidence, loss: bool) -> dict[str, Any]:
    low, high = evidence.interval or (None, None)
    return {
        "table": one.table,
        "dataset": one.dataset,
        "column": one.column,
        "a": one.a,
        "b": one.b,
        "seeds": evidence.seeds,
        "n": evidence.n,
        "difference": _figures(evidence.difference) if loss else _points(evidence.difference),
        "low": _points(low),
        "high": _points(high),
        "p_checkpoints": _two_sided(evidence.checkpoints),
        "p_methods": _two_sided(evidence.methods),
    }


def _two_sided(tails: Tails | None) -> float | None:
    return None if tails is None else _figures(tails.two_sided)


def _points(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 2) + 0.0


def _figures(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
