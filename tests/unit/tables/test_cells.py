"""Laws of a table's cells: statistics, missing runs, the CSV, and the stage from end to end."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stages.core.config.table_plan import Plan
from stages.core.errors import ConfigError
from stages.core.job.stage import load_settings
from stages.core.outcomes import write_outcomes
from stages.tables import cells, show
from stages.tables.cells import score, wilson
from tests.unit.tables.small_tables import NAMES, SCHEMA, build, first, plan, row, run, write_verdicts


@pytest.mark.parametrize(("count", "images"), [(0, 10), (1, 7), (45, 100), (360, 360), (4567, 10000)])
def test_wilson_is_its_closed_formula(count: int, images: int) -> None:
    z, share = 1.959963984540054, count / images
    center = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    half = z / (1 + z**2 / images) * math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    assert wilson(count, images) == pytest.approx((100 * (center - half), 100 * (center + half)), abs=1e-9)


def test_one_seed_shows_its_fraction_and_wilson_interval_and_no_deviation(two_runs: Path) -> None:
    line = build(two_runs, plan([row("LSP", [run("a")])]))[1]
    low, high = wilson(40, 100)
    assert (line["column"], line["accuracy"], line["sd"], line["seeds"], line["n"]) == ("PGD", "40.00", "", "1", "100")
    assert (line["wilson_low"], line["wilson_high"]) == (f"{low:.2f}", f"{high:.2f}")


def test_several_seeds_show_mean_and_sample_deviation_and_the_interval_of_the_mean_count(two_runs: Path) -> None:
    line = build(two_runs, plan([row("LSP", [run("a"), run("b", 1)])]))[1]
    assert (line["accuracy"], line["sd"], line["seeds"]) == ("45.00", f"{10 / math.sqrt(2):.2f}", "2")
    assert (line["wilson_low"], line["wilson_high"], line["n"]) == (*(f"{x:.2f}" for x in wilson(45, 100)), "100")
    text = " ".join((two_runs / "out/table1.txt").read_text(encoding="utf-8").split())
    assert "45.00 " in text
    assert "± 7.07" in text
    assert "seeds share the test images" in text


def test_a_missing_run_is_a_dash_and_named_and_leaves_the_others(two_runs: Path) -> None:
    lines = build(two_runs, plan([row("Vanilla", [run("gone-0a1b")]), row("LSP", [run("a")])]))
    assert [line["accuracy"] for line in lines] == ["", "", "90.00", "40.00"]
    assert [line["missing"] for line in lines] == ["gone-0a1b", "gone-0a1b", "", ""]
    for name in ("table1.txt", "table1.tex"):
        assert "gone-0a1b" in (two_runs / "out" / name).read_text(encoding="utf-8")
    vanilla = (two_runs / "out/table1.txt").read_text(encoding="utf-8").splitlines()[4]
    assert vanilla.split() == ["Vanilla", "–(a)", "–(a)"]
    manifest = json.loads((two_runs / "out/manifest.json").read_text(encoding="utf-8"))
    assert manifest["facts"]["missing"] == ["gone-0a1b: no file attack/gone-0a1b.parquet"]


def test_missing_seeds_leave_the_mean_over_the_others_and_are_named(two_runs: Path) -> None:
    line = build(two_runs, plan([row("LSP", [run("a"), run("b", 1), run("gone", 2)])]))[1]
    assert (line["accuracy"], line["seeds"], line["missing"]) == ("45.00", "2", "gone")


def test_an_attack_that_the_file_or_the_plan_lacks_is_a_gap_of_that_column_alone(tmp_path: Path) -> None:
    write_verdicts(tmp_path / "attack/a.parquet", {"clean-1a2b": first(9, 10)})
    for lacking in (run("a"), run("a", attacks=("clean",))):
        lines = build(tmp_path, plan([row("LSP", [lacking])]))
        assert [(line["accuracy"], line["missing"]) for line in lines] == [("90.00", ""), ("", "a")]


@pytest.mark.parametrize("fault", ["truncated", "flipped", "schema", "empty"])
def test_a_damaged_file_is_named_and_leaves_the_others(two_runs: Path, fault: str) -> None:
    path = two_runs / "attack/b.parquet"
    whole = path.read_bytes()
    if fault == "schema":
        pa.parquet.write_table(pa.table({"attack": ["pgd-1a2b"], "robust": [True]}), path)
    else:
        place = len(whole) // 8
        flipped = whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
        path.write_bytes({"truncated": whole[: len(whole) // 2], "flipped": flipped, "empty": b""}[fault])
    lines = build(two_runs, plan([row("Vanilla", [run("b")]), row("LSP", [run("a")])]))
    assert [(line["accuracy"], line["missing"]) for line in lines] == [
        ("", "b"),
        ("", "b"),
        ("90.00", ""),
        ("40.00", ""),
    ]
    assert "b: attack/b.parquet is damaged" in (two_runs / "out/table1.txt").read_text(encoding="utf-8")


def test_clean_verdicts_that_contradict_their_predictions_are_no_number(tmp_path: Path) -> None:
    n = 4
    columns = [["clean-1a2b"] * n, range(n), [0] * n, [0, 0, 1, 1], [0] * n, [True] * n, np.zeros(n), np.zeros(n)]
    write_outcomes(tmp_path / "attack/a.parquet", pa.table(list(map(pa.array, columns)), names=NAMES))
    line = build(tmp_path, plan([row("LSP", [run("a")])]))[0]
    assert (line["accuracy"], line["missing"]) == ("", "a")


def test_an_image_with_two_verdicts_is_no_number(tmp_path: Path) -> None:
    columns = [["pgd-1a2b"] * 2, [0, 0], [0, 0], [0, 0], [0, 0], [True, True], [0.0, 0.0], [0.0, 0.0]]
    write_outcomes(tmp_path / "attack/a.parquet", pa.table(columns, names=NAMES).cast(SCHEMA))
    assert build(tmp_path, plan([row("LSP", [run("a")])]))[1]["missing"] == "a"


def test_the_same_outcomes_give_the_same_bytes(two_runs: Path) -> None:
    value = plan([row("LSP", [run("a"), run("b", 1), run("gone", 2)]), row("Vanilla", [run("b")])])
    names = ("table1.csv", "table1.tex", "table1-document.tex", "table1.txt")
    build(two_runs, value)
    before = {name: (two_runs / "out" / name).read_bytes() for name in names}
    (two_runs / "out/table1.csv").unlink()
    build(two_runs, value)
    assert {name: (two_runs / "out" / name).read_bytes() for name in names} == before


def test_a_table_that_fails_leaves_none_of_its_files(two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = plan([row("LSP", [run("a")])])
    build(two_runs, value)
    monkeypatch.setattr("stages.tables.__main__.latex_document", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(two_runs, value)
    assert list((two_runs / "out").iterdir()) == []


def test_a_figure_on_fewer_images_than_the_clean_one_has_the_clean_accuracy_on_its_own_images(tmp_path: Path) -> None:
    columns: list[Any] = [["clean-1a2b"] * 4 + ["pgd-1a2b"] * 2, [0, 1, 2, 3, 1, 3], [0] * 6, [0, 0, 1, 1, 0, 1]]
    columns += [[0, 0, 1, 1, 1, 1], [True, True, False, False, False, False], np.zeros(6), np.zeros(6)]
    write_outcomes(tmp_path / "attack/a.parquet", pa.table(columns, names=NAMES).cast(SCHEMA))
    clean, pgd = build(tmp_path, plan([row("LSP", [run("a")])]))
    assert (clean["accuracy"], clean["n"], clean["clean_on_same"]) == ("50.00", "4", "")
    assert (pgd["accuracy"], pgd["n"], pgd["clean_on_same"]) == ("0.00", "2", "50.00")
    columns[3][4] = 1
    write_outcomes(tmp_path / "attack/a.parquet", pa.table(columns, names=NAMES).cast(SCHEMA))
    assert build(tmp_path, plan([row("LSP", [run("a")])]))[1]["clean_on_same"] == "0.00"


def test_a_figure_on_the_clean_ones_images_needs_no_other_clean_figure(two_runs: Path) -> None:
    assert [line["clean_on_same"] for line in build(two_runs, plan([row("LSP", [run("a")])]))] == ["", ""]


def test_rows_of_a_data_set_stay_together_in_the_order_given(two_runs: Path) -> None:
    rows = [row(label, [run("a")], dataset=dataset) for label, dataset in (("q", "y"), ("p", "x"), ("r", "y"))]
    lines = build(two_runs, plan(rows))
    assert [(line["dataset"], line["row"]) for line in lines[::2]] == [("y", "q"), ("y", "r"), ("x", "p")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": []}, "no columns"),
        ({"rows": [row("LSP", [run("a")])] * 2}, "'LSP' of 'digits' stands twice"),
        ({"rows": []}, "rows"),
        ({"colums": []}, "did you mean 'columns'"),
    ],
)
def test_a_plan_at_fault_is_refused_in_one_line(change: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(json.dumps(plan([row("LSP", [run("a")])]) | change), Plan)
    assert "\n" not in str(caught.value)


def test_score_reads_each_file_once(two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, paths = cells.read_outcomes, []

    def read(path: Path) -> pa.Table:
        paths.append(path.name)
        return real(path)

    monkeypatch.setattr(cells, "read_outcomes", read)
    score(Plan.model_validate(plan([row("LSP", [run("a"), run("b", 1)])])), two_runs, {})
    assert paths == ["a.parquet", "b.parquet"]


def test_show_prints_built_tables_and_names_one_that_is_not(two_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(two_runs, plan([row("LSP", [run("a")])]))
    folder = str(two_runs / "out")
    show.main([folder, "table1"])
    printed = capsys.readouterr().out
    assert (two_runs / "out/table1.txt").read_text(encoding="utf-8") in printed
    assert folder in printed
    with pytest.raises(SystemExit):
        show.main([folder, "table2"])
    assert "table2.txt: no such table" in capsys.readouterr().err
