"""Laws of the paper's numbers: each keeps its printed digits and is found however its place is spelled."""

from pathlib import Path

import pytest

from stages.core.errors import ArtifactError
from stages.tables.paper import key, read_paper

HEAD = "table,dataset,row,column,paper\n"


def test_a_number_keeps_its_printed_digits() -> None:
    numbers = read_paper()
    assert str(numbers[key(4, "CIFAR-10", "L1", "PGD")].paper) == "13.60"
    assert {number.paper.as_tuple().exponent for number in numbers.values()} == {-2}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("cifar10", "lsp+", "clean"), ("CIFAR-10", "LSP+", "Clean")),
        (("tiny-imagenet", "vanilla", "AA"), ("Tiny-ImageNet", "VANILLA", "AA")),
        (("cifar10", "K-L", "PGD-L∞"), ("CIFAR-10", "k_l ", "PGD- L_∞")),
    ],
)
def test_case_spaces_hyphens_and_underscores_do_not_count(
    ours: tuple[str, str, str], theirs: tuple[str, str, str]
) -> None:
    assert key(1, *ours) == key(1, *theirs)


@pytest.mark.parametrize("other", [(2, "a", "b", "c"), (1, "x", "b", "c"), (1, "a", "b+", "c"), (1, "a", "b", "c (1)")])
def test_another_table_data_set_row_or_column_is_another_number(other: tuple[int, str, str, str]) -> None:
    assert key(*other) != key(1, "a", "b", "c")


@pytest.mark.parametrize(
    "line",
    [
        "8,CIFAR-10,LSP,Clean,94.22",
        "one,CIFAR-10,LSP,Clean,94.22",
        "1,CIFAR-10,,Clean,94.22",
        "1,CIFAR-10,LSP,Clean,",
        "1,CIFAR-10,LSP,Clean,942",
        "1,CIFAR-10,LSP,Clean,-1",
        "1,CIFAR-10,LSP,Clean,nan",
        "1,CIFAR-10,LSP,Clean,high",
        "1,CIFAR-10,LSP,Clean,94.22\n1,cifar10,lsp,CLEAN,94.30",
        "1,CIFAR-10,LSP,Clean,94.22,and,more",
        "1,CIFAR-10,LSP",
    ],
)
def test_a_line_at_fault_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "paper.csv"
    path.write_text(HEAD + line + "\n")
    with pytest.raises(ArtifactError, match=rf"line {2 + line.count(chr(10))}"):
        read_paper(path)
