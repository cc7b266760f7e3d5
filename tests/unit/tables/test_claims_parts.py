"""Laws of claims of which only a part can be judged, and of comparisons and claims that stand twice."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.tables.planted_claims import figure, higher, judge, plant
from tests.unit.tables.small_tables import first, plan, row, run, write_verdicts

PGD = [{"attack": "pgd", "label": "PGD"}]
RATES = {"A": 0.8, "B": 0.3, "C": 0.3, "D": 0.1}
LOSS = {"kind": "loss", "text": "t"}


def rows(root: Path, names: str, *, seeds: int = 1) -> list[dict[str, Any]]:
    return [plant(root, name, {"pgd": RATES[name]}, seeds=seeds) for name in names]


def scopes(one: dict[str, Any], key: str) -> tuple[str | None, str | None]:
    return one["checkpoints"][key], one["methods"][key]


def test_a_yes_to_a_part_of_what_is_named_is_undecided_and_yes_in_part(tmp_path: Path) -> None:
    claim = higher() | {"than": ["B", "C", "D"]}
    whole = judge(tmp_path, plan(rows(tmp_path, "ABCD", seeds=3), columns=PGD), mine=claim)["mine"]
    part = judge(tmp_path, plan(rows(tmp_path, "AB", seeds=3), columns=PGD), mine=claim)["mine"]
    assert [(one["named"], one["asked"], one["judged"]) for one in (whole, part)] == [(3, 3, 3), (3, 1, 1)]
    assert scopes(whole, "answer") == ("yes", "yes")
    assert scopes(whole, "partly") == (None, None)
    assert scopes(part, "answer") == ("undecided", "undecided")
    assert scopes(part, "partly") == ("yes", "yes")
    assert part["checkpoints"]["holm"] <= 0.05
    assert part["reason"] == (
        "on these checkpoints, as far as it is asked: yes (1 of 3 comparisons); "
        "about methods, as far as it is asked: yes (1 of 3 comparisons)"
    )
    assert part["decides"] == "for a yes: 2 more comparisons"


def test_a_no_stands_on_a_part(tmp_path: Path) -> None:
    value = plan(rows(tmp_path, "AB", seeds=3), columns=PGD)
    one = judge(tmp_path, value, mine=higher("B", "A") | {"than": ["A", "C"]})["mine"]
    assert (one["named"], one["judged"], scopes(one, "answer")) == (2, 1, ("no", "no"))
    assert scopes(one, "partly") == (None, None)


@pytest.mark.parametrize(
    ("claim", "named", "asked"),
    [
        ({"kind": "order", "rows": ["D", "C", "E", "A"], "columns": ["PGD"]}, 4, 3),
        ({"kind": "order", "rows": ["D", "E", "F", "A"], "columns": ["PGD"]}, 4, 1),
        ({"kind": "order", "rows": ["D", "A"], "columns": ["PGD"]}, 1, 1),
        ({"kind": "order", "rows": ["D", "A"], "columns": ["PGD", "CW"]}, 2, 1),
        ({"kind": "gain", "better": "A", "than": "D", "columns": ["PGD"], "than_columns": ["Clean", "CW"]}, 2, 1),
        ({"kind": "higher", "better": ["A", "E"], "than": ["D", "F"], "columns": ["PGD", "CW"]}, 8, 1),
        ({"kind": "higher", "better": ["A"], "than": ["D"], "than_table": "table2", "columns": ["PGD"]}, 0, 0),
        ({"kind": "loss", "rises": ["A", "E"]}, 2, 1),
        ({"kind": "loss", "better": ["B", "E"], "than": ["A"]}, 2, 1),
    ],
)
def test_what_is_named_is_what_the_words_combine_to(
    tmp_path: Path, claim: dict[str, Any], named: int, asked: int
) -> None:
    rates = {"A": 0.8, "C": 0.5, "D": 0.1}
    made = [plant(tmp_path, name, {"clean": 0.5, "pgd": rate}, seeds=1) for name, rate in rates.items()]
    losses = figure(tmp_path, A=[[1.0, 9.0]], B=[[0.5, 0.6]])
    table = {} if claim["kind"] == "loss" else {"table": "table1"}
    one = judge(tmp_path, plan(made), losses, mine={"text": "t"} | table | claim)["mine"]
    assert (one["named"], one["asked"]) == (named, asked)


def test_a_claim_speaks_of_the_experiments_data_sets_and_of_those_that_it_names(tmp_path: Path) -> None:
    made = rows(tmp_path, "AB")
    elsewhere = [one | {"dataset": "faces"} for one in rows(tmp_path, "CD")]
    value = plan(made + elsewhere, columns=PGD)
    found = judge(
        tmp_path,
        value,
        any=higher(),
        named=higher(datasets=["digits"]),
        both=higher(datasets=["digits", "faces"]),
        nowhere=higher(datasets=["faces"]),
    )
    assert {name: found[name]["named"] for name in ("any", "named", "both", "nowhere")} == {
        "any": 1, "named": 1, "both": 2, "nowhere": 0
    }  # fmt: skip
    said = [found[name]["checkpoints"]["answer"] for name in ("any", "named", "both", "nowhere")]
    assert said == ["yes", "yes", "undecided", "not asked"]


def test_what_one_table_lacks_another_on_the_same_data_set_may_have(tmp_path: Path) -> None:
    one, two = (
        plan(rows(tmp_path, names), columns=PGD, table=table, paper=3) for names, table in (("AB", "t"), ("AC", "u"))
    )
    claim = higher(table=3) | {"than": ["B", "C"]}
    mine = judge(tmp_path, one, two, mine=claim)["mine"]
    assert (mine["named"], mine["judged"], mine["checkpoints"]["answer"]) == (2, 2, "yes")


def test_the_same_runs_in_two_tables_are_compared_once(tmp_path: Path) -> None:
    made = rows(tmp_path, "AB")
    one, two = (plan(made, columns=PGD, table=name, paper=3) for name in ("t", "u"))
    other = plan(rows(tmp_path, "AD"), columns=PGD, table="v", paper=3)
    once, twice = (judge(tmp_path, *plans, mine=higher(table=3))["mine"] for plans in ([one], [one, two, other]))
    assert (twice["asked"], twice["judged"], twice["named"]) == (1, 1, 1)
    assert twice == once


def test_other_runs_under_the_same_names_are_another_comparison(tmp_path: Path) -> None:
    one = plan(rows(tmp_path, "AB"), columns=PGD, table="t", paper=3)
    others = [plant(tmp_path, f"{name}2", {"pgd": RATES[name]}) | {"label": name} for name in "AB"]
    mine = judge(tmp_path, one, plan(others, columns=PGD, table="u", paper=3), mine=higher(table=3))["mine"]
    assert (mine["asked"], mine["judged"], mine["named"]) == (2, 2, 2)


def test_claims_that_make_the_same_comparisons_count_once_in_holms_adjustment(tmp_path: Path) -> None:
    """28 images of 40 that tell A and B apart say A: p = 0.017, too much for four claims and not for two."""
    a, b = [True] * 28 + [False] * 12 + [True] * 60, [False] * 28 + [True] * 12 + [True] * 60
    for name, verdicts in (("a", a), ("b", b)):
        write_verdicts(tmp_path / f"attack/{name}.parquet", {"clean-1a2b": first(50, 100), "pgd-1a2b": verdicts})
    value = plan([row("A", [run("a")]), row("B", [run("b")])])
    names = {"one": higher(), "two": higher() | {"than": ["B", "Z"]}, "clean": higher(columns=["Clean"])}
    found = judge(tmp_path, value, **names)
    assert [found[name]["checkpoints"]["holm"] for name in names] == [0.03318, 0.03318, 1.0]
    assert found["one"]["checkpoints"]["answer"] == "yes"
    assert found["two"]["checkpoints"]["partly"] == "yes"
    margins = {f"margin{number}": higher(columns=["Clean"], margin=number / 1e6) for number in (1, 2)}
    among = judge(tmp_path, value, **names, **margins)
    assert [among[name]["checkpoints"]["holm"] for name in ("one", "two")] == [0.06636, 0.06636]
    assert "told apart alone, not among 4 claims" in among["one"]["reason"]


def test_it_is_said_whether_runs_are_missing_or_share_no_seed_or_no_image(tmp_path: Path) -> None:
    a, b = rows(tmp_path, "AB", seeds=3)
    outside, ours = a | {"runs": a["runs"][:1]}, b | {"runs": b["runs"][1:]}
    seeds = judge(tmp_path, plan([outside, ours], columns=PGD), mine=higher())["mine"]
    assert seeds["reason"] == "its runs share no seed (0 against 1, 2)"
    assert seeds["missing"] == ["A less B, PGD, Digits: its runs share no seed (0 against 1, 2)"]

    for name, start in (("c", 0), ("d", 50)):
        places = {"pgd-1a2b": list(range(start, start + 50))}
        write_verdicts(tmp_path / f"attack/{name}.parquet", {"pgd-1a2b": first(25, 50)}, places)
    made = [row(label, [run(name, attacks=("pgd",))]) for label, name in (("A", "c"), ("B", "d"))]
    images = judge(tmp_path, plan(made, columns=PGD), mine=higher())["mine"]
    assert images["reason"] == "its runs share no image"

    gone = row("B", [run("gone")])
    one_side = judge(tmp_path, plan([a, gone], columns=PGD), mine=higher())["mine"]
    assert one_side["reason"] == "each of its comparisons has runs that can be used on one side at most"
    none = judge(tmp_path, plan([row("A", [run("nor")]), gone], columns=PGD), mine=higher())["mine"]
    assert none["reason"] == "none of its runs can be used"
    for one in (seeds, images, one_side, none):
        assert (one["asked"], one["judged"], scopes(one, "answer")) == (1, 0, ("undecided", "undecided"))


def test_a_loss_is_answered_by_its_sign_and_everything_else_by_a_test(tmp_path: Path) -> None:
    losses = figure(tmp_path, A=[[1.0, 9.0]])
    claims = {"loss": LOSS | {"rises": ["A"]}, "falls": LOSS | {"falls": ["A"]}, "mine": higher()}
    found = judge(tmp_path, plan(rows(tmp_path, "AB"), columns=PGD), losses, **claims)
    assert {name: scopes(found[name], "by") for name in claims} == {
        "loss": ("sign", "test"), "falls": ("sign", "test"), "mine": ("test", "test")
    }  # fmt: skip
    assert found["falls"]["reason"].startswith(
        "on these checkpoints: not as claimed (A, first fifth less A, last fifth"
    )


def test_a_run_that_diverged_says_nothing_and_is_named(tmp_path: Path) -> None:
    nan, infinite = float("nan"), float("inf")
    diverged, fine = [1.0, 0.9, 0.8, nan, nan], [1.0, 0.9, 0.8, 0.7, 0.6]
    losses = figure(tmp_path, A=[diverged], B=[fine, diverged], C=[[1.0, 2.0, infinite]], D=[[1.0]])
    found = judge(
        tmp_path,
        losses,
        alone=LOSS | {"falls": ["A"]},
        other=LOSS | {"falls": ["A"], "loss": "objective"},
        seed=LOSS | {"falls": ["B"]},
        both=LOSS | {"falls": ["A", "B"]},
        infinite=LOSS | {"rises": ["C"]},
        short=LOSS | {"rises": ["D"]},
    )
    alone, seed, both = found["alone"], found["seed"], found["both"]
    assert (alone["judged"], scopes(alone, "answer")) == (0, ("undecided", "undecided"))
    assert alone["missing"] == ["A-0: lsp_loss is not finite in epoch 4"]
    assert alone["reason"] == "none of its runs can be used"
    assert found["other"]["checkpoints"]["answer"] == "yes"  # its objective's loss is finite
    assert (seed["seeds"], seed["checkpoints"]["answer"]) == (1, "yes")
    assert seed["missing"] == ["B-1: lsp_loss is not finite in epoch 4"]
    assert (both["judged"], both["checkpoints"]["answer"], both["checkpoints"]["partly"]) == (1, "undecided", "yes")
    assert found["infinite"]["missing"] == ["C-0: lsp_loss is not finite in epoch 3"]
    assert found["short"]["missing"] == ["D-0: train/D-0.parquet has fewer than two epochs"]
