"""What the rows of a table are, what they are called, and which are refused."""

from collections.abc import Callable

import pytest

from stages.core.errors import ConfigError
from workflow.planning.jobs import Plan


def table(text: str) -> str:
    return f"tables: {{mine: {{datasets: [digits], attacks: [clean], {text}}}}}"


def labels(plan: Plan) -> list[str]:
    return [row.label for row in plan.tables["mine"].plan.rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("methods: [lsp], vary: {lsp.weight: [0.5, 1, 1e1]}", ["λ = 0.5", "λ = 1", "λ = 10"]),
        ("methods: [lsp], vary: {lsp.m: [2, 8.0]}", ["m = 2", "m = 8"]),
        ("methods: [trades], vary: {objective.beta: [1/3]}", ["beta = 1/3"]),
        ("methods: [lsp], vary: {lsp.stop_gradient: [true, false]}", ["stop_gradient = yes", "stop_gradient = no"]),
        ("methods: [lsp], vary: {lsp.discrepancy: {K-L: kl, L2: mse}}", ["K-L", "L2"]),
        ("methods: [lsp], vary: {lsp.m: [2], lsp.kind: {Local: local, Global: global}}",
         ["m = 2, Local", "m = 2, Global"]),
        ("methods: [lsp, lsp+], vary: {lsp.weight: [2]}", ["LSP (λ = 2)", "LSP+ (λ = 2)"]),
        ("methods: [vanilla, lsp]", ["Vanilla", "LSP"]),
        ("rows: [{label: None, method: vanilla}, {label: 'm: two', method: lsp, set: {lsp.m: 2}}]",
         ["None", "m: two"]),
    ],
)  # fmt: skip
def test_a_row_says_what_varies(plan_of: Callable[..., Plan], text: str, expected: list[str]) -> None:
    assert labels(plan_of(table(text))) == expected


def test_a_named_row_is_its_method_with_its_settings(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(table("rows: [{label: A, method: lsp, set: {lsp.m: 2}}, {label: B, method: lsp}]"))
    names = [row.runs[0].name for row in plan.tables["mine"].plan.rows]
    assert names[0].startswith("lsp-m2-")
    assert names[1] == plan.tables["table1"].plan.rows[1].runs[0].name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("methods: [lsp], vary: {lsp.weight: [1, 1.0]}", "row 'λ = 1 on digits' stands twice"),
        ("methods: [lsp], vary: {lsp.weight: [1, 1e0]}", "row 'λ = 1 on digits' stands twice"),
        ("methods: [lsp], vary: {lsp.weight: [2/4, 0.5]}", "'λ = 2/4' and 'λ = 0.5' on digits are the same run"),
        ("methods: [lsp], vary: {lsp.discrepancy: {A: l1, B: l1}}", "'A' and 'B' on digits are the same run"),
        ("rows: [{label: A, method: lsp}, {label: B, method: lsp}]", "'A' and 'B' on digits are the same run"),
        ("rows: [{label: A, method: lsp}, {label: B, method: lsp, set: {lsp.m: 4}}]", "'A' and 'B' on digits"),
        ("rows: [{label: A, method: lsp}, {label: A, method: vanilla}]", "row 'A on digits' stands twice"),
    ],
)
def test_one_value_named_twice_is_refused(plan_of: Callable[..., Plan], text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        plan_of(table(text))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("tables.mine: row")


@pytest.mark.parametrize(
    ("text", "stanza"),
    [
        (
            "methods: [vanilla], vary: {lsp.weight: [5]}",
            "`methods: {lsp-vanilla: {preset: vanilla, lsp: {weight: 5}}}`",
        ),
        ("methods: [trades], vary: {lsp: [{m: 2, weight: 3}]}", "{preset: trades, lsp: {m: 2, weight: 3}}}`"),
        ("methods: [lsp, at], vary: {lsp.m: [2]}", "`methods: {lsp-at: {preset: at, lsp: {m: 2}}}`"),
        ("rows: [{label: A, method: mart, set: {lsp.kind: global}}]", "{preset: mart, lsp: {kind: global}}}`"),
    ],
)
def test_a_method_without_an_lsp_term_is_never_given_one_and_the_stanza_that_is_meant_is_shown(
    plan_of: Callable[..., Plan], text: str, stanza: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of(table(text))
    assert stanza in str(caught.value)
    assert "has no LSP term" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_data_set_gives_no_method_an_lsp_term_either(plan_of: Callable[..., Plan]) -> None:
    with pytest.raises(ConfigError, match=r"methods.vanilla has no LSP term"):
        plan_of("datasets: {digits: {methods: {vanilla: {lsp: {m: 2}}}}}")


def test_the_stanza_that_is_shown_is_accepted_and_is_another_method(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(
        "methods: {lsp-trades: {preset: trades, lsp: {m: 4}}}\n" + table("methods: [lsp-trades], vary: {lsp.m: [2, 4]}")
    )
    assert all(row.runs[0].name.startswith("lsp-trades") for row in plan.tables["mine"].plan.rows)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("methods: [lsp], vary: {lsp.m: []}", "tables.mine.vary.lsp.m: at least one value is needed"),
        ("methods: [lsp], vary: {lsp.m: {}}", "tables.mine.vary.lsp.m: at least one value is needed"),
        ("methods: [lsp], vary: {lsp.m: 4}", "tables.mine.vary.lsp.m: a list of values is needed"),
        ("methods: [lsp], seeds: []", "tables.mine.seeds: "),
        ("methods: []", "tables.mine: a table needs either `methods`"),
        ("methods: [lsp], rows: [{label: A, method: lsp}]", "tables.mine: a table needs either `methods`"),
        ("rows: [{label: A, method: lsp}], vary: {lsp.m: [4]}", "tables.mine: `vary` goes with `methods`"),
        ("rows: [{label: A, method: lps}]", "tables.mine.methods: 'lps' is not known (did you mean 'lsp'?)"),
        ("rows: [{label: '', method: lsp}]", "tables.mine.rows.0.label: "),
        ("rows: [{label: A, method: lsp, sett: {}}]", "tables.mine.rows.0.sett: unknown key (did you mean 'set'?)"),
        ("methods: [lsp], paper: 8", "tables.mine.paper: "),
        ("methods: [lsp], paper: 5, vary: {lsp.weight: [2, 4]}", "Table 5 of the paper varies lsp.m alone"),
        ("methods: [lsp], layout: columns", "tables.mine.layout: "),
    ],
)
def test_a_table_at_fault_is_refused_in_one_line(plan_of: Callable[..., Plan], text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of(table(text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
