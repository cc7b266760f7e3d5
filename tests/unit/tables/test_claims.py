"""Laws of the claims stage: yes, no and undecided come out as they were planted, for every kind of claim."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.tables.comparisons import main as compare
from stages.tables.paired import holm
from tests.unit.tables.planted_claims import figure, higher, judge, plant
from tests.unit.tables.small_tables import first, plan, row, run, write_verdicts

ORDER = {"kind": "order", "text": "t", "table": "table1", "rows": ["A", "B", "C"], "columns": ["PGD"]}
GAIN = {
    "kind": "gain", "text": "t", "table": "table1", "better": "A", "than": "B", "columns": ["PGD"],
    "than_columns": ["Clean"],
}  # fmt: skip

UNTESTED = {"answer": "undecided", "p": None, "holm": None, "partly": None, "by": "test"}


def answers(one: dict[str, Any]) -> tuple[str, str]:
    return one["checkpoints"]["answer"], one["methods"]["answer"]


@pytest.mark.parametrize(
    ("a", "b", "answer"), [(0.7, 0.3, "yes"), (0.3, 0.7, "no"), (0.5, 0.5, "undecided")], ids=["yes", "no", "undecided"]
)
@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_higher_says_what_was_planted(tmp_path: Path, a: float, b: float, answer: str, seeds: int) -> None:
    rows = [plant(tmp_path, name, {"clean": 0.9, "pgd": rate}, seeds=seeds) for name, rate in (("A", a), ("B", b))]
    one = judge(tmp_path, plan(rows), mine=higher())["mine"]
    assert answers(one) == (answer, answer if seeds >= 3 else "undecided")
    assert (one["asked"], one["judged"], one["seeds"], one["own"]) == (1, 1, seeds, True)
    (comparison,) = one["comparisons"]
    assert (comparison["a"], comparison["b"], comparison["n"]) == ("A", "B", 400)
    assert comparison["low"] < comparison["difference"] < comparison["high"]


@pytest.mark.parametrize(
    ("rates", "falls", "answer"),
    [
        ((0.2, 0.5, 0.8), False, "yes"),
        ((0.8, 0.5, 0.2), True, "yes"),
        ((0.2, 0.21, 0.8), False, "yes"),
        ((0.2, 0.9, 0.6), False, "no"),
        ((0.8, 0.5, 0.2), False, "no"),
        ((0.5, 0.5, 0.5), False, "undecided"),
    ],
)
def test_an_order_needs_its_ends_and_no_reversal(
    tmp_path: Path, rates: tuple[float, ...], falls: bool, answer: str
) -> None:
    rows = [plant(tmp_path, name, {"pgd": rate}, seeds=3) for name, rate in zip("ABC", rates, strict=True)]
    value = plan(rows, columns=[{"attack": "pgd", "label": "PGD"}])
    one = judge(tmp_path, value, mine=ORDER | {"falls": falls})["mine"]
    assert answers(one) == (answer, answer)
    pairs = [("A", "B"), ("B", "C"), ("A", "C")]
    assert [(c["a"], c["b"]) for c in one["comparisons"]] == [pair if falls else pair[::-1] for pair in pairs]


@pytest.mark.parametrize(
    ("a", "answer"), [((0.55, 0.7), "yes"), ((0.9, 0.35), "no"), ((0.7, 0.5), "undecided")], ids=lambda one: str(one)
)
def test_a_gain_is_a_difference_of_differences(tmp_path: Path, a: tuple[float, float], answer: str) -> None:
    rates = {"A": {"clean": a[0], "pgd": a[1]}, "B": {"clean": 0.5, "pgd": 0.3}}
    rows = [plant(tmp_path, name, of, seeds=3) for name, of in rates.items()]
    found = judge(tmp_path, plan(rows), mine=GAIN, pgd=higher(), clean=higher(columns=["Clean"]))
    assert answers(found["mine"]) == (answer, answer)
    pgd, clean, gain = (found[name]["comparisons"][0]["difference"] for name in ("pgd", "clean", "mine"))
    assert gain == pytest.approx(pgd - clean, abs=0.011)


def test_a_loss_is_its_sign_on_these_checkpoints_and_a_test_of_the_seeds_about_methods(tmp_path: Path) -> None:
    def rising(scale: float) -> list[list[float]]:
        return [[(scale + 0.01 * seed) * epoch for epoch in range(1, 11)] for seed in range(3)]

    value = figure(tmp_path, Vanilla=rising(1.0), Mixup=rising(0.5))
    claim = {"kind": "loss", "text": "t"}
    found = judge(
        tmp_path,
        value,
        rises=claim | {"rises": ["Vanilla", "Mixup"]},
        falls=claim | {"falls": ["Vanilla"]},
        smaller=claim | {"better": ["Mixup"], "than": ["Vanilla"]},
        objective=claim | {"falls": ["Vanilla"], "loss": "objective"},
    )
    assert answers(found["rises"]) == ("yes", "yes")
    assert answers(found["falls"]) == ("no", "no")
    assert answers(found["smaller"]) == ("yes", "yes") == answers(found["mixup-has-a-smaller-lsp-loss"])
    assert answers(found["objective"]) == ("yes", "undecided")  # the seeds do not differ, and nothing can be tested
    assert all(found[name]["checkpoints"]["p"] is None for name in ("rises", "falls", "smaller"))
    last, start = 9.5, 1.5
    assert found["rises"]["comparisons"][0]["difference"] == pytest.approx(1.01 * (last - start), rel=1e-3)


def test_no_claim_about_methods_is_decided_by_one_or_two_seeds(tmp_path: Path) -> None:
    for seeds in (1, 2):
        rows = [plant(tmp_path, name, {"clean": r, "pgd": r}, seeds=seeds) for name, r in (("A", 1.0), ("B", 0.0))]
        losses = figure(tmp_path, A=[[1.0, 9.0]] * seeds, B=[[1.0, 9.0]] * seeds)
        order = ORDER | {"rows": ["B", "A"]}
        found = judge(
            tmp_path, plan(rows), losses, a=higher(), b=order, c={"kind": "loss", "text": "t", "rises": ["A"]}
        )
        for name in "abc":
            assert answers(found[name]) == ("yes", "undecided")
            assert found[name]["methods"] == UNTESTED
            counted = "one seed" if seeds == 1 else "2 seeds"
            assert found[name]["reason"] == f"about methods: {counted} of the three that it takes"
            assert found[name]["decides"] == "about methods: three seeds at least"


def test_a_p_that_decides_alone_is_undecided_among_many_claims(tmp_path: Path) -> None:
    """28 images of 40 that tell A and B apart say A: p = 0.017."""
    a, b = [True] * 28 + [False] * 12 + [True] * 60, [False] * 28 + [True] * 12 + [True] * 60
    for name, verdicts in (("a", a), ("b", b)):
        write_verdicts(tmp_path / f"attack/{name}.parquet", {"clean-1a2b": first(50, 100), "pgd-1a2b": verdicts})
    value = plan([row("A", [run("a")]), row("B", [run("b")])])
    alone = judge(tmp_path, value, mine=higher())["mine"]
    assert (alone["checkpoints"]["answer"], alone["checkpoints"]["p"]) == ("yes", 0.01659)
    assert alone["checkpoints"]["holm"] == alone["checkpoints"]["p"]
    others = {f"equal{number}": higher(columns=["Clean"], margin=number / 1e6) for number in range(3)}
    among = judge(tmp_path, value, mine=higher(), **others)
    assert among["mine"]["checkpoints"] == UNTESTED | {"p": 0.01659, "holm": 0.06636}
    assert "told apart alone, not among 4 claims" in among["mine"]["reason"]
    p = [among[name]["checkpoints"]["p"] for name in ("mine", *others)]
    assert [among[name]["checkpoints"]["holm"] for name in ("mine", *others)] == pytest.approx(holm(p), rel=1e-3)


def test_a_claim_is_as_weak_as_its_weakest_comparison_and_fails_by_one_that_is_reversed(tmp_path: Path) -> None:
    rates = {"A": (0.6, 0.6), "B": (0.3, 0.6), "C": (0.3, 0.9)}
    rows = [plant(tmp_path, name, {"clean": c, "pgd": p}) for name, (p, c) in rates.items()]
    found = judge(
        tmp_path,
        plan(rows),
        strong=higher(than="B"),
        weak=higher(than="B", columns=["PGD", "Clean"]),
        fails=higher(than="C", columns=["PGD", "Clean"]),
    )
    assert [found[name]["checkpoints"]["answer"] for name in ("strong", "weak", "fails")] == ["yes", "undecided", "no"]
    weak = found["weak"]
    assert weak["checkpoints"]["p"] == min(1.0, max(one["p_checkpoints"] for one in weak["comparisons"]))
    fails = found["fails"]
    assert fails["checkpoints"]["p"] == pytest.approx(
        2 * min(one["p_checkpoints"] for one in fails["comparisons"]), rel=1e-3
    )
    assert "not as claimed (A less C, Clean" in fails["reason"]
    assert "A less B, Clean" in weak["decides"]


def test_on_par_is_above_the_margin_and_few_images_without_a_difference_do_not_show_it(tmp_path: Path) -> None:
    for name, n in (("a", 400), ("b", 400), ("few", 20), ("fewer", 20)):
        write_verdicts(tmp_path / f"attack/{name}.parquet", {"pgd-1a2b": first(n // 2, n)})
    columns = [{"attack": "pgd", "label": "PGD"}]
    many = plan([row("A", [run("a")]), row("B", [run("b")])], columns=columns)
    few = plan([row("A", [run("few")]), row("B", [run("fewer")])], columns=columns, table="few")
    found = judge(tmp_path, many, few, many=higher(margin=5), few=higher(margin=5, table="few"), none=higher())
    assert found["many"]["checkpoints"]["answer"] == "yes"
    assert found["few"]["checkpoints"]["answer"] == "undecided"
    assert found["none"]["checkpoints"] == UNTESTED | {"p": 1.0, "holm": 1.0}
    assert "none: no difference is seen" in found["none"]["decides"]


def test_p_and_interval_of_one_seed_are_those_of_comparisons_csv(two_runs: Path) -> None:
    value = plan([row("LSP", [run("a")]), row("AT", [run("b")])])
    one = judge(two_runs, value, mine=higher("AT", "LSP", columns=["Clean", "PGD"]))["mine"]
    words = ["--root", str(two_runs), "--out", str(two_runs / "out"), "--manifest", str(two_runs / "out/c.json")]
    compare(["--settings", json.dumps({"plans": [value]}), *words, "--device", "cpu"])
    with (two_runs / "out/comparisons.csv").open(encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    assert [f"{c['p_checkpoints']:.4g}" for c in one["comparisons"]] == [line["mcnemar_p"] for line in lines]
    for comparison, line in zip(one["comparisons"], lines, strict=True):
        turned = [-float(line[name]) for name in ("difference", "high", "low")]
        assert [comparison[name] for name in ("difference", "low", "high")] == turned


def test_a_claim_with_a_missing_run_is_judged_on_the_rest_and_says_so(tmp_path: Path) -> None:
    rows = [
        plant(tmp_path, name, {"clean": 0.5, "pgd": r}, seeds=3)
        for name, r in zip("ABCD", (0.2, 0.4, 0.6, 0.8), strict=True)
    ]
    (tmp_path / "attack/D-1.parquet").unlink()
    for seed in range(3):
        (tmp_path / f"attack/B-{seed}.parquet").write_bytes(b"damaged")
    order = ORDER | {"rows": ["A", "B", "C", "D"]}
    found = judge(tmp_path, plan(rows), mine=order, pair=higher("D", "A"), gone=higher("B", "A"))
    mine, gone = found["mine"], found["gone"]
    assert (mine["named"], mine["asked"], mine["judged"]) == (4, 4, 3)
    assert (mine["checkpoints"]["answer"], mine["checkpoints"]["partly"]) == ("undecided", "yes")
    assert [(c["a"], c["b"], c["seeds"]) for c in mine["comparisons"]] == [("C", "A", 3), ("D", "C", 2), ("D", "A", 2)]
    seen, methods = mine["reason"].split("; ")
    assert seen == "on these checkpoints, as far as it is judged: yes (3 of 4 comparisons)"
    assert methods == "about methods: 2 seeds of the three that it takes"
    assert "D-1: no file attack/D-1.parquet" in mine["missing"]
    assert found["pair"]["comparisons"][0]["seeds"] == 2
    assert (gone["asked"], gone["judged"], answers(gone)) == (1, 0, ("undecided", "undecided"))
    assert gone["reason"] == "each of its comparisons has runs that can be used on one side at most"
    assert set(json.loads((tmp_path / "out/claims-manifest.json").read_text())["facts"]["missing"]) == {
        *mine["missing"], *gone["missing"]
    }  # fmt: skip


def test_an_order_whose_ends_share_no_seed_cannot_hold(tmp_path: Path) -> None:
    rows = [plant(tmp_path, name, {"pgd": rate}, seeds=2) for name, rate in zip("ABC", (0.2, 0.5, 0.8), strict=True)]
    (tmp_path / "attack/A-0.parquet").unlink()
    (tmp_path / "attack/C-1.parquet").unlink()
    mine = judge(tmp_path, plan(rows, columns=[{"attack": "pgd", "label": "PGD"}]), mine=ORDER)["mine"]
    assert [(one["a"], one["b"], one["seeds"]) for one in mine["comparisons"]] == [("B", "A", 1), ("C", "B", 1)]
    assert answers(mine) == ("undecided", "undecided")
    assert mine["checkpoints"]["partly"] is None
    assert mine["decides"] == "about methods: three seeds at least; for a yes: 1 more comparison"
    assert "C less A, PGD, Digits: its runs share no seed (0 against 1)" in mine["missing"]


def test_a_claim_that_no_table_has_is_not_asked_and_counts_for_nothing(tmp_path: Path) -> None:
    rows = [plant(tmp_path, name, {"clean": 0.5, "pgd": rate}) for name, rate in (("A", 0.6), ("B", 0.3))]
    found = judge(tmp_path, plan(rows), mine=higher(), other=higher("A", "Z"))
    assert {answers(one) for name, one in found.items() if name != "mine"} == {("not asked", "not asked")}
    assert found["mine"]["checkpoints"]["holm"] == found["mine"]["checkpoints"]["p"]


def test_the_papers_claims_find_our_rows_and_hold_for_their_data_sets_alone(tmp_path: Path) -> None:
    made = {name: plant(tmp_path, name, {"pgd": r}, seeds=3) for name, r in (("Vanilla", 0.6), ("Mixup", 0.2))}
    columns = [{"attack": "pgd", "label": "PGD"}]

    def on(paper: str | None) -> dict[str, Any]:
        rows = [one | {"paper_dataset": paper} for one in made.values()]
        return judge(tmp_path, plan(rows, paper=1, columns=columns))["mixup-hurts-under-pgd"]

    found = on("svhn")  # STL-10, of which the claim speaks too, is not there
    assert (found["named"], found["asked"], answers(found)) == (2, 1, ("undecided", "undecided"))
    assert (found["checkpoints"]["partly"], found["methods"]["partly"]) == ("yes", "yes")
    assert found["decides"] == "for a yes: 1 more comparison"
    assert on("svhn")["paper"] == {"answer": "yes", "asked": 2, "against": []}
    assert answers(on("cifar10")) == answers(on(None)) == ("not asked", "not asked")


def test_rows_of_two_tables_are_compared_under_the_same_attack_alone(tmp_path: Path) -> None:
    pgd: Callable[[float], dict[str, Any]] = lambda epsilon: {"kind": "pgd", "epsilon": epsilon}  # noqa: E731
    a, b = (plant(tmp_path, name, {"pgd": rate}) for name, rate in (("A", 0.7), ("B", 0.3)))
    for epsilon, asked in ((0.1, 1), (0.2, 0)):
        one, two = (
            plan([made], table=table, columns=[{"attack": "pgd", "label": "PGD", "settings": pgd(radius)}])
            for table, made, radius in (("table1", a, 0.1), ("table2", b, epsilon))
        )
        assert judge(tmp_path, one, two, mine=higher(than_table="table2"))["mine"]["asked"] == asked


def test_the_same_outcomes_give_the_same_bytes_and_a_line_a_claim(tmp_path: Path) -> None:
    rows = [plant(tmp_path, name, {"clean": 0.5, "pgd": r}, seeds=5) for name, r in (("A", 0.6), ("B", 0.3))]
    found = judge(tmp_path, plan(rows), mine=higher())
    files = [tmp_path / "out/claims.csv", tmp_path / "out/claims.json"]
    before = [path.read_bytes() for path in files]
    judge(tmp_path, plan(rows), mine=higher())
    assert [path.read_bytes() for path in files] == before
    with files[0].open(encoding="utf-8", newline="") as stream:
        lines = {line["claim"]: line for line in csv.DictReader(stream)}
    assert list(lines) == list(found)
    assert lines["mine"]["methods"] == found["mine"]["methods"]["answer"] == "yes"
    assert float(lines["mine"]["methods_holm"]) == found["mine"]["methods"]["holm"]
