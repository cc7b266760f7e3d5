"""A certificate as JSON, and for people."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from stages.attack.certificate.evidence import Evidence
from stages.attack.certificate.verdict import Check, Level, worst

MEANING: Mapping[Level, str] = {
    "pass": "Nothing was found that speaks against its robust accuracies.",
    "warn": "Its robust accuracies may be too high, or depend on how they are measured; see what to do below.",
    "fail": "Its robust accuracies are not to be believed as they stand; see what to do below.",
}


def record(evidence: Evidence, checks: list[Check]) -> dict[str, Any]:
    """What certificate.json holds; accuracies in % of the images."""
    return {
        "verdict": worst([check.verdict for check in checks]),
        "norm": "linf",
        "epsilon": evidence.epsilon,
        "images": evidence.images,
        "accuracies": {name: _percent(evidence, int(robust.sum())) for name, robust in evidence.robust.items()},
        "transferred": {name: _percent(evidence, int(robust.sum())) for name, robust in evidence.to_others.items()},
        "checks": [asdict(check) for check in checks],
    }


def nothing_right(epsilon: float, images: int, found: str) -> dict[str, Any]:
    """The certificate of a checkpoint that gets no image right."""
    check = Check("clean accuracy", "fail", found, "one must be", "train it; there is nothing to attack", "")
    return {
        "verdict": "fail",
        "norm": "linf",
        "epsilon": epsilon,
        "images": images,
        "accuracies": {"clean": 0.0},
        "transferred": {},
        "checks": [asdict(check)],
    }


def _percent(evidence: Evidence, count: int) -> float:
    return round(100 * count / evidence.images, 2)


def text(certificate: Mapping[str, Any], checkpoint: str) -> str:
    """The same as Markdown, its failures and warnings first. checkpoint: the file, for people."""
    verdict: Level = certificate["verdict"]
    order: list[Level] = ["fail", "warn", "pass"]
    checks = sorted(certificate["checks"], key=lambda check: order.index(check["verdict"]))
    rows = ([check[key] for key in ("name", "verdict", "found", "rule", "source")] for check in checks)
    todo = [
        f"- {check['name']} ({check['verdict']}): {check['advice']}" for check in checks if check["verdict"] != "pass"
    ]
    lines = [
        f"# Certificate: {verdict}",
        "",
        f"{checkpoint}, L∞, ε = {255 * certificate['epsilon']:.4g}/255, {certificate['images']} test images."
        f" {MEANING[verdict]}",
        "",
        "| check | verdict | found | rule | source |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    accuracies = [f"| {name} | {value:.2f} |" for name, value in certificate["accuracies"].items()]
    transferred = [f"| images of {name} | {value:.2f} |" for name, value in certificate["transferred"].items()]
    lines += ["", "## What to do", "", *todo] if todo else []
    lines += ["", "## Accuracies", "", "| under | % |", "|---|---|", *accuracies, *transferred, ""]
    return "\n".join(lines)
