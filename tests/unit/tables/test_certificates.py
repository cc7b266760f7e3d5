"""Certificates in tables: a note on each row that has one, and the list of all."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from stages.core.config.table_plan import Plan
from stages.tables.certificates import main
from stages.tables.certified import certificate_notes
from tests.unit.tables.small_tables import plan, row, run

UNDER = ("clean", "noise", "fgsm", "pgd", "margin", "aa")


def write(path: Path, verdict: str, transferred: dict[str, float]) -> None:
    check = {"name": "active test", "verdict": verdict, "found": "", "rule": "", "advice": "", "source": ""}
    certificate = {
        "verdict": verdict,
        "norm": "linf",
        "epsilon": 8 / 255,
        "images": 50,
        "accuracies": {name: 90.0 - place for place, name in enumerate(UNDER)},
        "transferred": transferred,
        "checks": [check, {**check, "name": "logits", "verdict": "pass"}],
    }
    path.write_text(json.dumps(certificate))


def certified(name: str, label: str, **more: Any) -> dict[str, Any]:
    return row(label, [{**run(name), "certificate": f"{name}.json"}], **more)


def test_a_note_says_who_passes_who_does_not_and_why_and_whose_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "pass", {})
    write(tmp_path / "b.json", "warn", {})
    write(tmp_path / "c.json", "fail", {})
    rows = [certified(name, name.upper()) for name in "abcd"] + [row("E", [run("e")])]
    assert certificate_notes(Plan.model_validate(plan(rows)), tmp_path) == [
        "Certificates that pass (L∞, ε = 8/255, n = 50): A.",
        "Certificates that are missing: D.",
        "Certificate of B: warn: active test warned; see b.md.",
        "Certificate of C: fail: active test failed; see c.md.",
    ]


def test_of_several_seeds_and_data_sets_it_says_which(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "pass", {})
    write(tmp_path / "b.json", "warn", {})
    one, other = ({**run(name), "certificate": f"{name}.json"} for name in "ab")
    gone = {**run("c"), "certificate": "c.json"}
    runs = [one, {**one, "seed": 1}, {**other, "seed": 2}, {**gone, "seed": 3}, {**gone, "seed": 4}]
    rows = [row("A", runs), row("A", [one], dataset="other", dataset_title="Other"), row("B", [one])]
    assert certificate_notes(Plan.model_validate(plan(rows)), tmp_path) == [
        "Certificates that pass (L∞, ε = 8/255, n = 50): A on Digits (seeds 0, 1), B on Digits, A on Other.",
        "Certificates that are missing: A on Digits (seeds 3, 4).",
        "Certificate of A on Digits (seed 2): warn: active test warned; see b.md.",
    ]


def test_the_list_holds_a_line_each_with_the_least_accuracy_under_anothers_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.json", "pass", {})
    write(tmp_path / "b.json", "fail", {"x": 70.0, "y": 60.0})
    one = {"dataset": "Digits", "method": "m", "seed": 0}
    listed = [{**one, "row": name, "path": f"{name}.json"} for name in "abc"]
    words = [
        "--settings",
        json.dumps({"certificates": listed}),
        "--root",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    main([*words, "--manifest", str(tmp_path / "out/certificates.json"), "--device", "cpu"])
    with (tmp_path / "out/certificates.csv").open() as stream:
        first, second = csv.DictReader(stream)
    assert [first[name] for name in ("row", "verdict", "n", "aa", "transferred", "failed")] == [
        "a", "pass", "50", "85.00", "", "",
    ]  # fmt: skip
    assert [second[name] for name in ("row", "transferred", "from", "failed")] == ["b", "60.00", "y", "active test"]
    assert json.loads((tmp_path / "out/certificates.json").read_text())["facts"]["missing"] == ["c.json"]
    assert capsys.readouterr().err.count("c.json") == 1
