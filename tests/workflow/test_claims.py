"""Claims in a plan: the paper's are asked of the paper's experiment, and users' own are checked word by word."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stages.core.errors import ConfigError
from stages.core.files import unpacked_json
from stages.tables.claims.__main__ import Claims, read_claims
from stages.tables.claims.asked import comparisons, lacking
from stages.tables.claims.blocks import published_blocks
from stages.tables.claims.measured import measured_blocks
from stages.tables.claims.paper import on_paper
from stages.tables.paper import read_paper
from tests.conftest import EXPERIMENTS, ROOT
from workflow.planning.jobs import Plan
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan

MINE = "kind: higher, text: LSP helps., table: table1, better: [lsp], than: [Vanilla], columns: [FGSM]"


def claim(**changed: str) -> str:
    """An overlay with a claim, of whose keys some are changed or, as '', left out."""
    keys = dict(part.split(": ", 1) for part in MINE.split(", ")) | changed
    return f"claims: {{mine: {{{', '.join(f'{key}: {value}' for key, value in keys.items() if value)}}}}}"


def asked_of(path: Path, root: Path) -> dict[str, tuple[int, int]]:
    """How many comparisons of each of the paper's claims an experiment asks, and lacks; nothing of it is made."""
    plan = make_plan(load_experiment([path], path), root)
    settings = Claims.model_validate(unpacked_json(plan.lists["claims"].settings))
    blocks = measured_blocks(settings.plans, root)
    return {
        name: (len(comparisons(one, blocks, own=False)), lacking(one, blocks, own=False))
        for name, one in read_claims().items()
    }


def test_the_papers_experiment_asks_every_comparison_that_the_paper_makes(tmp_path: Path) -> None:
    blocks = published_blocks(read_paper())
    losses = {"objective-loss-falls": 2, "lsp-loss-rises": 2, "mixup-has-a-smaller-lsp-loss": 1}
    published = {name: on_paper(one, blocks)["asked"] or losses[name] for name, one in read_claims().items()}
    assert asked_of(EXPERIMENTS / "paper.yaml", tmp_path) == {name: (count, 0) for name, count in published.items()}


def test_the_demonstration_asks_every_claim_but_those_about_one_data_set(tmp_path: Path) -> None:
    asked = asked_of(ROOT / "config.yaml", tmp_path)
    none = {name for name, (count, _) in asked.items() if not count}
    assert none == {name for name, one in read_claims().items() if one.datasets} | {"small-weights-are-too-weak"}
    assert {name: counts for name, counts in asked.items() if counts[1]} == {
        "more-neighbors-help": (6, 4),  # m = 4, 8 and 16 alone
        "large-weights-cost-clean-accuracy": (3, 1),  # λ = 1, 5 and 10 alone
        "weight-1-is-the-best": (4, 6),
    }


def test_claims_of_ones_own_are_told_to_the_stage_and_change_its_settings_alone(plan_of: Callable[..., Plan]) -> None:
    plain, plan = plan_of(), plan_of(claim(), claim(columns="[Clean, FGSM]"))
    job = plan.lists["claims"]
    (mine,) = unpacked_json(job.settings)["claims"].values()
    assert mine["columns"] == ["Clean", "FGSM"]
    assert unpacked_json(plain.lists["claims"].settings)["claims"] == {}
    assert set(job.inputs) == set().union(*(table.plan.outcomes() for table in plan.tables.values()))
    assert plan.train == plain.train
    assert plan.attack == plain.attack


def test_a_claim_that_is_null_is_left_out_with_the_table_that_it_is_about(plan_of: Callable[..., Plan]) -> None:
    without = "tables: {table1: null}\n"
    with pytest.raises(ConfigError, match=r"claims\.mine\.table"):
        plan_of(claim(), without)
    plan = plan_of(claim(), without, "claims: {mine: null}\n")
    assert unpacked_json(plan.lists["claims"].settings)["claims"] == {}


def test_a_claim_about_losses_reads_the_histories(plan_of: Callable[..., Plan]) -> None:
    figure = "tables: {figure: {kind: losses, datasets: [digits], methods: [vanilla]}, table1: null, table2: null}\n"
    plan = plan_of(figure + "claims: {mine: {kind: loss, text: It rises., rises: [vanilla]}}")
    (history,) = plan.lists["claims"].inputs
    assert history.endswith("history.parquet")


def test_a_number_names_a_row_by_the_value_that_varies(plan_of: Callable[..., Plan]) -> None:
    table = "tables: {table1: {methods: [lsp], vary: {lsp.m: [2, 4]}, attacks: [fgsm]}, table2: null}\n"
    order = "claims: {mine: {kind: order, text: More helps., table: table1, rows: [2, 4.0], columns: [fgsm]}}"
    (mine,) = unpacked_json(plan_of(table + order).lists["claims"].settings)["claims"].values()
    assert mine["rows"] == ["2", "4"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"table": "tabel1"}, r"claims\.mine\.table: 'tabel1' is no such table \(did you mean 'table1'\?\)"),
        ({"table": "4"}, r"claims\.mine\.table: none answers to Table 4 of the paper \(known: table1, table2\)"),
        ({"table": "8"}, r"claims\.mine\.table: the paper has Tables 1 to 7; .* \(given: 8\)"),
        ({"than_table": "tabel2"}, r"claims\.mine\.than_table: 'tabel2' is no such table \(did you mean 'table2'\?\)"),
        ({"better": "[lps]"}, r"claims\.mine\.better: 'lps' is not there \(did you mean 'lsp'\?\)"),
        ({"than": "[at]"}, r"claims\.mine\.than: 'at' is not there"),
        ({"than_table": "table2"}, r"claims\.mine\.than: 'Vanilla' is not there \(known: TRADES, trades\)"),
        ({"columns": "[FGMS]"}, r"claims\.mine\.columns: 'FGMS' is not there \(did you mean 'FGSM'\?\)"),
        ({"datasets": "[digit]"}, r"claims\.mine\.datasets: 'digit' is not there \(did you mean 'digits'\?\)"),
        ({"better": "[]"}, r"claims\.mine\.better: List should have at least 1 item"),
        ({"margin": "-1"}, r"claims\.mine\.margin: .*greater than or equal to 0 \(given: -1\)"),
        ({"kind": "highr"}, r"claims\.mine\.kind: 'highr' is none of the kinds \(did you mean 'higher'\?\)"),
        ({"kind": ""}, r"claims\.mine: `kind` is needed"),
        ({"betterr": "[lsp]"}, r"claims\.mine\.betterr: unknown key \(did you mean 'better'\?\)"),
        ({"text": ""}, r"claims\.mine\.text: Field required"),
    ],
)
def test_a_claim_that_leads_nowhere_is_refused(
    plan_of: Callable[..., Plan], changed: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{said}"):
        plan_of(claim(**changed))


@pytest.mark.parametrize(
    ("stanza", "said"),
    [
        (
            claim().replace("mine", "lsp-beats-vanilla"),
            "claims.lsp-beats-vanilla: a claim of the paper goes by this name",
        ),
        ("claims: {mine: {kind: loss, text: t}}", "claims.mine: a claim about losses says one thing"),
        ("claims: {mine: {kind: loss, text: t, better: [lsp]}}", "claims.mine: better and than go together"),
        ("claims: {mine: {kind: loss, text: t, rises: [lsp]}}", "claims.mine.table: there is no figure of losses"),
    ],
)
def test_a_claim_that_says_too_much_or_too_little_is_refused(
    plan_of: Callable[..., Plan], stanza: str, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        plan_of(stanza)
    assert str(refused.value).startswith(said)


def test_a_name_that_fits_several_rows_is_refused(plan_of: Callable[..., Plan]) -> None:
    table = "tables: {table1: {methods: [lsp], vary: {lsp.m: [2, 4]}, attacks: [fgsm]}, table2: null}\n"
    with pytest.raises(ConfigError, match=r"'lsp' fits several; name one by its label \(known: m = 2, m = 4\)$"):
        plan_of(table + claim(than="[m = 2]"))


def test_the_claims_of_the_paper_are_read_as_strictly_as_a_config() -> None:
    text = (ROOT / "stages/tables/claims.yaml").read_text(encoding="utf-8")
    assert list(yaml.safe_load(text)) == list(read_claims())
    assert text.count("\n  kind: ") == len(read_claims())
