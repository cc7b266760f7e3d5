"""Laws of comparisons.csv: every pair of rows, on the images both have, seed by seed, adjusted within its column."""

import csv
import json
from itertools import combinations
from pathlib import Path

import pytest

from stages.tables.comparisons import CSV_HEAD, main
from stages.tables.paired import Counts, holm
from tests.unit.tables.small_tables import first, plan, row, run, write_verdicts


def compare(root: Path, *plans: dict) -> list[dict[str, str]]:
    """Run the command as a process would and return its CSV's lines."""
    places = ["--root", str(root), "--out", str(root / "out"), "--manifest", str(root / "out/comparisons.json")]
    main(["--settings", json.dumps({"plans": plans}), *places, "--device", "cpu"])
    with (root / "out/comparisons.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_line_holds_the_counts_the_test_and_the_interval_of_its_pair(two_runs: Path) -> None:
    clean, pgd = compare(two_runs, plan([row("LSP", [run("a")]), row("AT", [run("b")])]))
    counts = Counts(40, 0, 10, 50)
    low, high = (f"{100 * end:.2f}" for end in counts.interval)
    assert tuple(pgd) == CSV_HEAD
    start = ["table1", "digits", "PGD", "0", "LSP", "AT", "100", "40", "0", "10", "50"]
    assert list(pgd.values()) == [*start, "0.001953", "0.001953", "-10.00", low, high]
    assert (clean["column"], clean["only_b"], clean["difference"]) == ("Clean", "4", "-4.00")


def test_every_pair_of_rows_stands_under_every_column_of_every_table(tmp_path: Path) -> None:
    names = "abcd"
    for place, name in enumerate(names):
        robust = first(20 * place + 10, 100)
        write_verdicts(tmp_path / f"attack/{name}.parquet", {"clean-1a2b": robust, "pgd-1a2b": robust[::-1]})
    rows = [row(name, [run(name)]) for name in names]
    lines = compare(tmp_path, plan(rows), plan(rows[:2], table="table2"))
    pairs = [(line["table"], line["column"], line["row_a"], line["row_b"]) for line in lines]
    expected = [("table1", column, *pair) for column in ("Clean", "PGD") for pair in combinations(names, 2)]
    assert pairs == [*expected, ("table2", "Clean", "a", "b"), ("table2", "PGD", "a", "b")]


def test_holms_adjustment_goes_over_a_table_data_set_column_and_seed(tmp_path: Path) -> None:
    for place, name in enumerate("abc"):
        verdicts = {"clean-1a2b": first(50 + 5 * place, 100), "pgd-1a2b": first(30 + 8 * place, 100)}
        write_verdicts(tmp_path / f"attack/{name}.parquet", verdicts)
    rows = [row(name, [run(name), run(name, 1)], dataset=dataset) for dataset in "xy" for name in "abc"]
    lines = compare(tmp_path, plan(rows))
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for line in lines:
        groups.setdefault((line["dataset"], line["column"], line["seed"]), []).append(line)
    assert len(groups) == 2 * 2 * 2
    for members in groups.values():
        raw = holm([float(line["mcnemar_p"]) for line in members])
        assert [float(line["holm_p"]) for line in members] == pytest.approx(raw, rel=1e-3)


def test_seeds_are_compared_each_with_its_own_and_never_pooled(two_runs: Path) -> None:
    rows = [row("LSP", [run("a"), run("b", 1)]), row("AT", [run("b"), run("a", 1), run("a", 2)])]
    found = [(line["seed"], line["difference"]) for line in compare(two_runs, plan(rows)) if line["column"] == "PGD"]
    assert found == [("0", "-10.00"), ("1", "10.00")]


def test_rows_on_different_images_are_compared_on_those_they_share(tmp_path: Path) -> None:
    index = {"pgd-1a2b": [8, 3, 5]}
    write_verdicts(tmp_path / "attack/a.parquet", {"clean-1a2b": first(9, 9), "pgd-1a2b": [True, False, True]}, index)
    write_verdicts(tmp_path / "attack/b.parquet", {"clean-1a2b": first(9, 9), "pgd-1a2b": first(5, 7)})
    (_, pgd) = compare(tmp_path, plan([row("LSP", [run("a")]), row("AT", [run("b")])]))
    assert [pgd[name] for name in ("n", "both", "only_a", "only_b", "neither")] == ["2", "0", "1", "1", "0"]
    index = {"pgd-1a2b": [18, 13, 15]}
    write_verdicts(tmp_path / "attack/a.parquet", {"clean-1a2b": first(9, 9), "pgd-1a2b": [True, False, True]}, index)
    (only,) = compare(tmp_path, plan([row("LSP", [run("a")]), row("AT", [run("b")])]))
    assert only["column"] == "Clean"


def test_a_missing_run_has_no_line_and_is_named(two_runs: Path) -> None:
    assert compare(two_runs, plan([row("LSP", [run("a")]), row("AT", [run("gone")])])) == []
    facts = json.loads((two_runs / "out/comparisons.json").read_text())["facts"]
    assert facts["missing"] == ["gone: no file attack/gone.parquet"]


def test_the_same_outcomes_give_the_same_bytes_and_the_manifest_names_them(two_runs: Path) -> None:
    value = plan([row("LSP", [run("a")]), row("AT", [run("b")])])
    compare(two_runs, value)
    before = (two_runs / "out/comparisons.csv").read_bytes()
    compare(two_runs, value)
    assert (two_runs / "out/comparisons.csv").read_bytes() == before
    manifest = json.loads((two_runs / "out/comparisons.json").read_text())
    assert set(manifest["inputs"]) == {"attack/a.parquet", "attack/b.parquet"}
