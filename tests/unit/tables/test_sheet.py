"""Laws of a table's layout: n with each attack, the paper's numbers below ours, methods or attacks as lines."""

import json
from pathlib import Path

import pytest

from stages.core.config.table_plan import Plan
from stages.core.errors import ConfigError
from stages.core.job.stage import load_settings
from tests.unit.tables.small_tables import build, first, plan, row, run, write_verdicts


def test_the_difference_is_ours_less_the_papers_and_stands_only_beside_its_data_set(tmp_path: Path) -> None:
    write_verdicts(tmp_path / "attack/a.parquet", {"cw-1a2b": first(45, 100), "aa-1a2b": first(10, 100)})
    attacked = [run("a", attacks=("cw", "aa"))]
    theirs = row("Ours", attacked, dataset="jpeg", dataset_title="", paper_dataset="cifar10", paper_row="mixup")
    columns = [{"attack": "cw", "label": "CW"}, {"attack": "aa", "label": "AA"}]
    rows = [theirs | {"paper_note": "JPEG & not PNG"}, row("Mixup", attacked, paper_row="mixup")]
    lines = build(tmp_path, plan(rows, columns=columns, paper=1))
    assert [(line["paper"], line["difference"]) for line in lines] == [
        ("47.78", "-2.78"),
        ("0.17", "9.83"),
        ("", ""),
        ("", ""),
    ]
    shown = (tmp_path / "out/table1.txt").read_text(encoding="utf-8").splitlines()
    (place,) = [number for number, line in enumerate(shown) if line.startswith("  paper(a)")]
    assert shown[place].split()[1:] == ["47.78", "0.17"]
    assert shown[place + 1].split() == ["−2.78", "+9.83"]
    assert r"JPEG \& not PNG" in (tmp_path / "out/table1.tex").read_text(encoding="utf-8")


def test_a_number_of_the_paper_keeps_its_last_zero_beside_ours(tmp_path: Path) -> None:
    write_verdicts(tmp_path / "attack/a.parquet", {"clean-1a2b": first(1, 1), "pgd-1a2b": first(136, 1000)})
    (_, line) = build(tmp_path, plan([row("L1", [run("a")], paper_dataset="cifar10", paper_row="L1")], paper=4))
    assert (line["accuracy"], line["paper"], line["difference"]) == ("13.60", "13.60", "0.00")
    assert [entry for entry in (tmp_path / "out/table1.txt").read_text().split() if entry.startswith("13.")] == [
        "13.60",
        "13.60",
    ]


@pytest.mark.parametrize(
    "unlike",
    [{"paper": None}, {"paper": 2}, {"rows": {"paper_dataset": "svhn"}}, {"rows": {"paper_dataset": None}},
     {"rows": {"paper_row": "m = 8"}}, {"rows": {"paper_row": ""}}],
)  # fmt: skip
def test_a_row_of_another_place_than_the_papers_has_no_number_of_the_paper(two_runs: Path, unlike: dict) -> None:
    answering = {"paper_dataset": "cifar10", "paper_row": "8", "paper_note": "a note on nothing"} | unlike.get(
        "rows", {}
    )
    build(two_runs, plan([row("LSP", [run("a")], **answering)], paper=unlike.get("paper", 5)))
    for name in ("table1.txt", "table1.tex"):
        text = (two_runs / "out" / name).read_text(encoding="utf-8")
        assert "paper" not in text
        assert "a note on nothing" not in text


def spaced(root: Path) -> list[str]:
    text = (root / "out/table1.txt").read_text(encoding="utf-8")
    return ["|".join(part.strip() for part in line.split("  ") if part.strip()) for line in text.splitlines()]


def test_n_stands_below_the_head_of_each_column_and_set_apart_for_each_data_set(tmp_path: Path) -> None:
    write_verdicts(tmp_path / "attack/a.parquet", {"clean-1a2b": first(9, 10), "pgd-1a2b": first(3, 4)})
    write_verdicts(tmp_path / "attack/b.parquet", {"clean-1a2b": first(9, 20), "pgd-1a2b": first(3, 5)})
    write_verdicts(tmp_path / "attack/c.parquet", {"clean-1a2b": first(9, 10), "pgd-1a2b": first(3, 9)})
    rows = [row("LSP", [run("a")]), row("AT", [run("c")]), row("LSP", [run("b")], dataset="y", dataset_title="Y")]
    build(tmp_path, plan(rows))
    shown = spaced(tmp_path)
    assert shown[2:4] == ["Digits|Clean|PGD", "n = 10|n = 4/9"]
    assert shown[shown.index("Y|Clean|PGD") + 1] == "n = 20|n = 5"
    for size in ("n = 10", "n = 4/9", "n = 20", "n = 5"):
        assert rf"\multicolumn{{2}}{{c}}{{{{\scriptsize {size}}}}}" in (tmp_path / "out/table1.tex").read_text()


def test_attacks_as_rows_turn_the_table_and_n_stands_with_the_attack(two_runs: Path) -> None:
    rows = [row("None", [run("a")], paper_dataset="cifar10", paper_row="None"), row("Local", [run("b")])]
    lines = build(two_runs, plan(rows, layout="attacks", paper=3))
    assert [(line["row"], line["column"], line["paper"]) for line in lines[:2]] == [
        ("None", "Clean", "94.56"),
        ("None", "PGD", "6.26"),
    ]
    shown = spaced(two_runs)
    assert shown[2] == "Digits|None|Local"
    clean, pgd = (
        next(place for place, line in enumerate(shown) if line.startswith(f"{head}|")) for head in ("Clean", "PGD")
    )
    assert shown[clean].replace("*", "") == "Clean|90.00|94.00"
    assert shown[clean + 1].startswith("n = 100|[")
    assert shown[clean + 2 : clean + 4] == ["paper|94.56", "−4.56"]
    assert shown[pgd].replace("*", "") == "PGD|40.00|50.00"
    assert shown[pgd + 2 : pgd + 4] == ["paper|6.26", "+33.74"]


def test_attacks_as_rows_need_the_same_columns_for_each_data_set() -> None:
    rows = [row("LSP", [run("a")]), row("AT", [run("b")], dataset="y")]
    with pytest.raises(ConfigError, match="the rows of 'table1' differ between its data sets"):
        load_settings(json.dumps(plan(rows, layout="attacks")), Plan)


def test_the_clean_accuracy_on_a_robust_figures_images_is_at_hand_where_they_are_fewer(tmp_path: Path) -> None:
    """Of ten images the first nine are clean; of the four that PGD attacks, as told from the file, all are."""
    write_verdicts(tmp_path / "attack/a.parquet", {"clean-1a2b": first(9, 10), "pgd-1a2b": first(3, 4)})
    write_verdicts(tmp_path / "attack/b.parquet", {"clean-1a2b": first(2, 10), "pgd-1a2b": first(1, 4)})
    build(tmp_path, plan([row("LSP", [run("a")]), row("AT", [run("b")])]))
    text = " ".join((tmp_path / "out/table1.txt").read_text(encoding="utf-8").split())
    assert "Clean accuracy in % on the 4 images of PGD on Digits: LSP" in text


def test_figures_on_the_same_images_need_no_such_note(two_runs: Path) -> None:
    build(two_runs, plan([row("LSP", [run("a")])]))
    assert "Clean accuracy in % on the" not in (two_runs / "out/table1.txt").read_text(encoding="utf-8")
