"""Laws of the stars: a best is marked where the same images tell it apart, ties are shown, nothing else is compared."""

from pathlib import Path

import numpy as np
import pytest

from stages.core.config.table_plan import Column, Row, Run
from stages.tables.cells import Cell
from stages.tables.stars import BEST, TIED, legend, stars
from stages.tables.verdicts import Verdicts
from tests.unit.tables.small_tables import build, first, plan, row, run, write_verdicts

N = 100
PGD = "pgd"


def cell(label: str, *seeds: list[bool], attack: str = PGD, dataset: str = "digits", start: int = 0) -> Cell:
    """A row's verdicts by seed, on images from `start` on."""
    made = Row(dataset=dataset, label=label, method="m", runs=(Run(seed=0, name="r"),))
    verdicts = tuple(
        Verdicts(seed, np.arange(start, start + len(robust)), np.array(robust), np.ones(len(robust), dtype=bool))
        for seed, robust in enumerate(seeds)
    )
    fractions = tuple(float(np.mean(robust)) for robust in seeds)
    images = min((len(robust) for robust in seeds), default=0)
    return Cell(made, Column(attack=attack, label=attack), fractions, images, verdicts=verdicts)


def swapped(count: int, lost: int, won: int) -> list[bool]:
    """`first(count, N)` without `lost` of its images, and with `won` others."""
    return [(lost <= i < count) or (count <= i < count + won) for i in range(N)]


def test_a_best_has_a_star_where_the_paired_difference_leaves_out_zero() -> None:
    assert stars([cell("a", first(50, N)), cell("b", first(46, N))]) == [BEST, ""]
    assert stars([cell("a", first(46, N)), cell("b", first(50, N))]) == ["", BEST]


def test_a_difference_that_images_do_not_tell_apart_is_a_tie() -> None:
    assert stars([cell("a", first(50, N)), cell("b", first(47, N))]) == [TIED, TIED]
    assert stars([cell("a", first(50, N)), cell("b", swapped(50, 20, 10))]) == [TIED, TIED]


def test_equal_rows_tie() -> None:
    assert stars([cell("a", first(50, N)), cell("b", first(50, N)), cell("c", first(10, N))]) == [TIED, TIED, ""]


def test_a_row_further_down_that_is_not_told_apart_ties_too() -> None:
    rows = [cell("a", first(50, N)), cell("b", first(46, N)), cell("c", swapped(50, 25, 20))]
    assert [round(100 * row.fractions[0]) for row in rows] == [50, 46, 45]
    assert stars(rows) == [TIED, "", TIED]


def test_rows_on_other_images_or_seeds_are_not_compared() -> None:
    assert stars([cell("a", first(90, N)), cell("b", first(10, N), start=1)]) == ["", ""]
    assert stars([cell("a", first(90, N)), cell("b", first(10, N - 1))]) == ["", ""]
    assert stars([cell("a", first(90, N), first(90, N)), cell("b", first(10, N))]) == ["", ""]


def test_a_lone_row_and_a_missing_one_have_no_star() -> None:
    assert stars([cell("a", first(90, N))]) == [""]
    assert stars([cell("a", first(90, N)), cell("b")]) == ["", ""]
    assert stars([cell("a", first(90, N)), cell("b"), cell("c", first(10, N))]) == [BEST, "", ""]


def test_columns_and_data_sets_are_marked_each_for_itself() -> None:
    cells = [
        cell("a", first(90, N)),
        cell("a", first(10, N), attack="aa"),
        cell("b", first(10, N)),
        cell("b", first(90, N), attack="aa"),
        cell("a", first(5, N), dataset="svhn"),
        cell("b", first(5, N), dataset="svhn"),
    ]
    assert stars(cells) == [BEST, "", "", BEST, TIED, TIED]


def test_several_seeds_are_averaged_image_by_image() -> None:
    """Two seeds with 6 of the same images more are told apart; one seed with 3 more and one with 0 are not."""
    same = [cell("a", first(56, N), first(56, N)), cell("b", first(50, N), first(50, N))]
    assert stars(same) == [BEST, ""]
    differing = [cell("a", first(53, N), first(50, N)), cell("b", first(50, N), first(50, N))]
    assert stars(differing) == [TIED, TIED]


def test_the_legend_says_what_stands_in_the_table_and_no_more() -> None:
    assert legend(["", ""]) == ""
    assert legend([BEST, ""]).startswith("*: best")
    assert "=: the best" not in legend([BEST, ""])
    assert legend([TIED, TIED]).startswith("=: the best")
    for found in ([BEST], [TIED], [BEST, TIED]):
        assert "95 % interval of the paired difference" in legend(found)
        assert "given these checkpoints" in legend(found)


@pytest.mark.parametrize(("other", "mark"), [(60, "*"), (88, "=")])
def test_the_star_or_the_tie_and_its_legend_reach_text_and_latex(tmp_path: Path, other: int, mark: str) -> None:
    write_verdicts(tmp_path / "attack/a.parquet", {"clean-1a2b": first(90, N), "pgd-1a2b": first(0, N)})
    write_verdicts(tmp_path / "attack/b.parquet", {"clean-1a2b": first(other, N), "pgd-1a2b": first(0, N)})
    build(tmp_path, plan([row("LSP", [run("a")]), row("AT", [run("b")])]))
    text, latex = ((tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("table1.txt", "table1.tex"))
    assert f"90.00{mark}" in text
    assert f"{other}.00=" in text if mark == "=" else f"{other}.00=" not in text
    assert "0.00=" in text
    assert f"\n{mark}: " in text or f" {mark}: " in text
    assert (r"\textbf{90.00}" in latex) == (mark == "*")
    assert rf"\textsuperscript{{{mark}}}" in latex
