"""paper.yaml is the paper's seven tables, cell by cell, and no change of a name gives a cell another's number."""

import csv
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import EXPERIMENTS, ROOT
from workflow.planning.jobs import Plan
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan

PRINTED = ROOT / "stages/tables/paper.csv"
CELLS = {"1": 100, "2": 75, "3": 9, "4": 12, "5": 15, "6": 18, "7": 10}
# Of the lines `table,dataset,row,column,number` as read off the paper, without a header, each ended by a line feed.
DIGEST = "63d3bde8c23c69687c8305b67122517a32893b129593c3320a2ad937fca9457c"


def paper_cells(*files: object) -> str:
    command = [sys.executable, "-m", "workflow.commands.paper_cells", "--configfile", *map(str, files)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture(scope="module")
def printed() -> list[dict[str, str]]:
    return lines_of(PRINTED.read_text(encoding="utf-8"))


def test_the_paper_is_239_numbers_of_two_decimals(printed: list[dict[str, str]]) -> None:
    assert Counter(line["table"] for line in printed) == CELLS
    assert sum(CELLS.values()) == len(printed) == 239
    assert all(re.fullmatch(r"\d{1,2}\.\d\d", line["paper"]) for line in printed)
    body = PRINTED.read_text(encoding="utf-8").partition("\n")[2]
    assert hashlib.sha256(body.encode()).hexdigest() == DIGEST


def test_papers_plan_has_each_cell_of_the_paper_once_in_its_order(printed: list[dict[str, str]]) -> None:
    assert paper_cells(EXPERIMENTS / "paper.yaml") == PRINTED.read_text(encoding="utf-8")


def test_each_cell_of_the_paper_is_trained_and_attacked_as_its_row_and_column_say() -> None:
    """The numbers' places follow from labels; here the settings behind the labels are read back from the runs."""
    plan = make_plan(load_experiment([EXPERIMENTS / "paper.yaml"], ROOT / "config.yaml"))
    varied: dict[str, tuple[str, str, dict[str, Any]]] = {
        "table3": ("lsp", "lsp.kind", {"Global": "global", "Local": "local"}),
        "table4": ("lsp", "lsp.discrepancy", {"K-L": "kl", "Cosine": "cosine", "L1": "l1", "L2": "mse"}),
        "table5": ("lsp", "lsp.m", {f"m = {m}": m for m in (2, 4, 8, 16, 32)}),
        "table6": ("lsp", "lsp.weight", {f"λ = {w:g}": w for w in (0.1, 0.5, 1, 2, 5, 10)}),
    }
    for name, (method, setting, expected) in varied.items():
        rows = [row for row in plan.tables[name].plan.rows if row.method == method]
        assert {row.label: _setting(plan, row, setting) for row in rows} == expected
    (none,) = [row for row in plan.tables["table3"].plan.rows if row.method != "lsp"]
    assert (none.label, none.method, _setting(plan, none, "lsp")) == ("None", "vanilla", None)
    assert [row.method for row in plan.tables["table7"].plan.rows] == ["vanilla", "mixup", "cutmix", "augmix", "lsp"]


def _setting(plan: Plan, row: Any, path: str) -> Any:
    (run,) = row.runs
    (job,) = [job for job in plan.train.values() if job.name == run.name and row.dataset in job.folder.split("/")]
    value = json.loads(job.settings)["method"]
    for part in path.split("."):
        value = value[part]
    return value


def test_one_value_that_two_tables_show_is_one_run() -> None:
    plan = make_plan(load_experiment([EXPERIMENTS / "paper.yaml"], ROOT / "config.yaml"))
    shown = {
        table: next(row.runs[0].name for row in plan.tables[table].plan.rows if row.label == label)
        for table, label in (("table1", "LSP"), ("table3", "Local"), ("table4", "L2"), ("table5", "m = 8"),
                             ("table6", "λ = 1"), ("table7", "LSP"))
    }  # fmt: skip
    assert len(set(shown.values())) == 1


def test_columns_that_the_paper_lacks_have_no_number_and_take_none_away(printed: list[dict[str, str]]) -> None:
    files = (EXPERIMENTS / "paper.yaml", EXPERIMENTS / "honest-columns.yaml")
    lines = lines_of(paper_cells(*files))
    assert [line for line in lines if line["paper"] == ""]
    assert sorted(tuple(line.values()) for line in lines if line["paper"]) == sorted(
        tuple(line.values()) for line in printed
    )


def test_a_value_that_the_paper_does_not_vary_has_no_number(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text(
        "tables: {table5: {vary: {lsp.m: [2, 3]}}, table6: {vary: {lsp.weight: [1e0, 1e-1, 7]}}}"
    )
    lines = lines_of(paper_cells(EXPERIMENTS / "cifar10.yaml", tmp_path / "overlay.yaml"))
    found = {(line["table"], line["row"]): line["paper"] for line in lines if line["column"] == "Clean"}
    assert found["5", "2"] == "93.37"
    assert found["5", "m = 3"] == ""
    assert (found["6", "1"], found["6", "0.1"], found["6", "λ = 7"]) == ("94.22", "94.45", "")
