"""Certificates in a plan: whose, under which radius, beside which others, and what a table reads of them."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from stages.core.errors import ConfigError
from stages.core.files import unpacked_json
from workflow.planning.jobs import Plan

TABLE = "tables: {table1: {methods: [vanilla, lsp, trades], attacks: [clean]}, table2: null}\n"


def by_method(plan: Plan) -> dict[str, str]:
    """{method: its certificate's job}; of one seed."""
    return {key.split("/")[1].partition("-")[0]: key for key in plan.certify}


def test_those_that_are_asked_for_get_one_each_and_look_at_one_another(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(TABLE + "certify: [vanilla, trades]\nseeds: [0, 1]")
    assert len(plan.certify) == 4
    for key, job in plan.certify.items():
        method, seed = key.split("/")[1].partition("-")[0], key.split("/")[2]
        (other,) = {"vanilla", "trades"} - {method}
        assert f"/{method}-" in job.inputs["checkpoint"]
        others = {name: path for name, path in job.inputs.items() if name.startswith("other ")}
        assert list(others) == [f"other {other}"]
        assert all(f"/{other}-" in path and f"/{seed}/" in path for path in others.values())
        assert json.loads(job.settings)["epsilon"] == 0.1  # the recipe's
    listed = unpacked_json(plan.lists["certificates"].settings)["certificates"]
    assert {(one["row"], one["seed"]) for one in listed} == set(product(("Vanilla", "TRADES"), (0, 1)))
    shown = {run.certificate for row in plan.tables["table1"].plan.rows for run in row.runs}
    assert shown == {None, *(job.file("certificate") for job in plan.certify.values())}
    assert shown - {None} <= set(plan.tables["table1"].inputs)


def test_all_are_asked_for_at_once_and_a_variant_is_no_other(plan_of: Callable[..., Plan]) -> None:
    varied = "tables: {varied: {datasets: [digits], methods: [lsp], vary: {lsp.m: [2]}, attacks: [clean]}}\n"
    plan = plan_of(TABLE, varied + "certify: all\ncertificate: {images: 7, epsilon: 4/255}")
    assert len(plan.certify) == 4
    names = [[name for name in job.inputs if name.startswith("other ")] for job in plan.certify.values()]
    assert sorted(map(len, names)) == [2, 2, 2, 3]
    assert {job.settings for job in plan.certify.values()} == {'{"epsilon":0.01568627450980392,"images":7,"seed":0}'}


def test_a_checkpoint_is_listed_by_its_method_where_its_row_says_only_what_varies(
    plan_of: Callable[..., Plan],
) -> None:
    rows = "rows: [{label: '0', method: vanilla}, {label: '1', method: lsp}]"
    labelled = f"tables: {{table1: {{datasets: [digits], methods: [], {rows}}}}}"
    plan = plan_of("certify: all\nlipschitz: {methods: all}", labelled)
    assert [row.label for row in plan.tables["table1"].plan.rows] == ["0", "1"]
    for name, entries in (("certificates", "certificates"), ("lipschitz", "checkpoints")):
        listed = [one["row"] for one in unpacked_json(plan.lists[name].settings)[entries]]
        assert list(dict.fromkeys(listed)) == ["Vanilla", "LSP", "TRADES"]


def test_a_table_that_varies_over_the_preset_or_is_in_another_order_changes_nothing(
    plan_of: Callable[..., Plan],
) -> None:
    asked = TABLE + "certify: [vanilla, lsp]"
    before = plan_of(asked)
    varied = plan_of(
        asked, "tables: {varied: {datasets: [digits], methods: [lsp], vary: {lsp.m: [2, 4]}, attacks: [clean]}}"
    )
    assert before.certify.items() <= varied.certify.items()
    rows = [one["row"] for one in unpacked_json(varied.lists["certificates"].settings)["certificates"]]
    assert sorted(rows) == ["LSP", "LSP: m = 2", "Vanilla"]
    turned = plan_of(asked, "tables: {table1: {methods: [trades, lsp, vanilla]}}")
    assert turned.certify == before.certify


def test_nothing_is_certified_that_nobody_asks_for_and_an_attack_changes_no_name(plan_of: Callable[..., Plan]) -> None:
    assert not plan_of(TABLE).certify
    assert "certificates" not in plan_of(TABLE).lists
    asked = TABLE + "certify: [vanilla]"
    before = plan_of(asked)
    assert by_method(plan_of(asked, "tables: {table1: {attacks: [clean, fgsm]}}")) == by_method(before)
    assert by_method(plan_of(asked, "certificate: {images: 9}")) != by_method(before)
    assert plan_of(asked).attack == plan_of(TABLE).attack


def test_an_outside_checkpoint_is_certified_at_its_own_radius(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    (tmp_path / "my.pt").write_bytes(b"weights")
    plan = plan_of(
        f"checkpoints: {{mine: {{file: {tmp_path / 'my.pt'}, dataset: digits}}}}\ncertify: [mine]\n"
        "tables: {table1: {methods: [vanilla, mine], attacks: [clean]}, table2: null}"
    )
    (job,) = plan.certify.values()
    assert json.loads(job.settings)["epsilon"] == pytest.approx(8 / 255)


@pytest.mark.parametrize(
    ("stanza", "said"),
    [
        ("certify: [vanila]", r"certify: 'vanila' stands in no table .*mean 'vanilla'"),
        ("certify: [at]", r"certify: 'at' stands in no table"),
        ("certify: some", r"certify"),
        ("certificate: {images: 0}", r"certificate\.images"),
        ("certificate: {epsilon: 8}", r"certificate.*did you mean 8/255"),
    ],
)
def test_what_cannot_be_certified_is_refused(plan_of: Callable[..., Plan], stanza: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_of(TABLE + stanza)
