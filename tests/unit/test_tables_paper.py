"""Laws of the paper's numbers: each is valid, sourced and found however its settings are spelled."""

from pathlib import Path

import pytest

from stages.core.errors import ArtifactError
from stages.tables.paper import key, read_paper

HEAD = "table,dataset,method,variant,column,value,source\n"


def test_every_number_that_ships_is_an_accuracy_with_a_source() -> None:
    numbers = read_paper()
    assert numbers
    assert all(0 <= number.value <= 100 and number.source.strip() for number in numbers.values())


def test_a_number_is_found_in_any_order_and_spelling_of_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "paper.csv"
    path.write_text(HEAD + "table6,cifar10,lsp,lsp.weight=5;lsp.m=16,Clean,90.1,there\n")
    numbers = read_paper(path)
    for variant in ({"lsp.m": 16, "lsp.weight": 5.0}, {"lsp.weight": "5", "lsp.m": "16"}):
        assert numbers[key("table6", "cifar10", "lsp", variant, " CLEAN")].value == 90.1
    assert key("table6", "cifar10", "lsp", {"lsp.m": 16}, "clean") not in numbers
    assert key("table5", "cifar10", "lsp", {"lsp.m": 16, "lsp.weight": 5}, "clean") not in numbers


@pytest.mark.parametrize(
    "line",
    [
        "table1,cifar10,lsp,,Clean,94.2,",
        "table1,cifar10,lsp,,Clean,942,there",
        "table1,cifar10,lsp,,Clean,high,there",
        "table1,cifar10,lsp,,Clean,94.2,there\ntable1,cifar10,lsp,,clean,94.3,there",
        "table1,cifar10,lsp,,Clean,94.2,there,and,more",
        "table1,cifar10,lsp",
    ],
)
def test_a_line_at_fault_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "paper.csv"
    path.write_text(HEAD + line + "\n")
    with pytest.raises(ArtifactError, match=rf"line {2 + line.count(chr(10))}"):
        read_paper(path)
