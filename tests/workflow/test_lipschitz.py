"""Section 3.3 in a plan: whose L_x is measured, what the list reads of each, and made by Snakemake."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.core.errors import ConfigError
from stages.core.files import unpacked_json
from tests.conftest import Project
from workflow.planning.jobs import Plan

TABLE = "tables: {table1: {methods: [vanilla, lsp, trades], attacks: [clean, fgsm]}, table2: null}\n"
FEW = "lipschitz: {methods: all, images: 8, starts: 1, steps: 2}\n"


def methods(plan: Plan) -> list[str]:
    return sorted(key.split("/")[1].partition("-")[0] for key in plan.lipschitz)


def test_those_that_are_asked_for_are_measured_and_listed_with_what_belongs_to_them(
    plan_of: Callable[..., Plan],
) -> None:
    plan = plan_of(TABLE + "lipschitz: {methods: [vanilla, trades], images: 7}\nseeds: [0, 1]")
    assert methods(plan) == ["trades", "trades", "vanilla", "vanilla"]
    job = plan.lists["lipschitz"]
    listed = unpacked_json(job.settings)["checkpoints"]
    assert {(one["row"], one["run"]["seed"]) for one in listed} == {
        (n, s) for n in ("Vanilla", "TRADES") for s in (0, 1)
    }
    for one in listed:
        run = f"{one['run']['name']}/seed{one['run']['seed']}"
        at = one["run"]["outcomes"]["fgsm"]["path"]
        assert all(f"/{run}" in path for path in (one["path"], one["trained"], one["run"]["history"], at))
        assert {one["path"], one["trained"], one["run"]["history"], at} <= set(job.inputs)
    for measured in plan.lipschitz.values():
        assert json.loads(measured.settings) == {"delta": 0.5, "images": 7, "seed": 0, "starts": 4, "steps": 30}
    report = unpacked_json(plan.lists["report"].settings)
    assert report["lipschitz"] == job.file("json")
    assert job.file("json") in plan.lists["report"].inputs


def test_nothing_is_measured_that_nobody_asks_for(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(TABLE)
    assert not plan.lipschitz
    assert "lipschitz" not in plan.lists
    assert "lipschitz" not in unpacked_json(plan.lists["report"].settings)


def test_another_table_seed_or_attack_changes_no_job_and_a_setting_changes_all(plan_of: Callable[..., Plan]) -> None:
    before = plan_of(TABLE + FEW).lipschitz
    varied = "tables: {varied: {datasets: [digits], methods: [lsp], vary: {lsp.m: [2, 4]}, attacks: [clean]}}"
    assert before.items() <= plan_of(TABLE + FEW, varied).lipschitz.items()
    assert before.items() <= plan_of(TABLE + FEW, "seeds: [0, 1]").lipschitz.items()
    assert plan_of(TABLE + FEW, "tables: {table1: {attacks: [clean]}}").lipschitz == before
    assert not before.keys() & plan_of(TABLE + FEW, "lipschitz: {delta: 1}").lipschitz.keys()


def test_the_robust_accuracy_is_of_the_attack_that_most_have_or_that_is_asked_for(plan_of: Callable[..., Plan]) -> None:
    more = (
        "attacks: {pgd: {kind: pgd, label: PGD, epsilons: [1/255, 2/255]}}\n"
        "tables: {table1: {attacks: [clean, pgd, fgsm]}, own: {datasets: [digits], methods: [lsp], attacks: [pgd]}}"
    )

    def under(*overlays: str) -> set[str]:
        listed = unpacked_json(plan_of(TABLE + FEW, more, *overlays).lists["lipschitz"].settings)["checkpoints"]
        return {one["attack"]["label"] for one in listed}

    assert under() == {"FGSM"}
    assert under("tables: {table1: {attacks: [clean, pgd]}}") == {"PGD ε = 2/255"}
    assert under("lipschitz: {attack: pgd.1}") == {"PGD ε = 1/255"}


def test_an_outside_checkpoint_is_measured_and_has_no_history(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    (tmp_path / "my.pt").write_bytes(b"weights")
    mine = f"checkpoints: {{mine: {{file: {tmp_path / 'my.pt'}, dataset: digits}}}}\nlipschitz: {{methods: [mine]}}\n"
    plan = plan_of(mine + "tables: {table1: {methods: [vanilla, mine], attacks: [clean]}, table2: null}")
    (one,) = unpacked_json(plan.lists["lipschitz"].settings)["checkpoints"]
    assert "trained" not in one
    assert "attack" not in one
    assert one["run"].keys() == {"seed", "name"}


@pytest.mark.parametrize(
    ("stanza", "said"),
    [
        ("{methods: [vanila]}", r"lipschitz\.methods: 'vanila' stands in no table .*mean 'vanilla'"),
        ("{methods: [at]}", r"lipschitz\.methods: 'at' stands in no table"),
        ("{methods: some}", r"lipschitz\.methods"),
        ("{images: 0}", r"lipschitz\.images"),
        ("{delta: 0}", r"lipschitz\.delta"),
        ("{methods: all, attack: fgms}", r"lipschitz\.attack: 'fgms' is no column of a table .*mean 'fgsm'"),
    ],
)
def test_what_cannot_be_measured_is_refused(plan_of: Callable[..., Plan], stanza: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_of(TABLE + f"lipschitz: {stanza}")


def test_a_table_cannot_go_by_the_lists_name(plan_of: Callable[..., Plan]) -> None:
    with pytest.raises(ConfigError, match=r"tables\.lipschitz: a list beside the tables"):
        plan_of("tables: {lipschitz: {datasets: [digits], methods: [lsp], attacks: [clean]}}")


def test_snakemake_makes_it_commands_know_it_and_it_is_published_and_made_again(project: Project) -> None:
    assert project.counted(FEW)["lipschitz"] == 3
    done = project.snakemake(overlay=FEW)
    assert done.returncode == 0, done.stdout
    assert project.counted(FEW) == {}
    table = project.only("tables/tiny/overlay-*/lipschitz.csv")
    with table.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["row"] for line in lines] == ["Vanilla", "LSP", "TRADES"]
    assert all(float(line["lipschitz"]) > 0 and line["lsp_loss"] and line["attack"] == "FGSM" for line in lines)
    assert '<section id="lipschitz">' in table.with_name("report.html").read_text()
    words = project.configfiles(FEW)
    for command, said in (("status", "lipschitz  3 done"), ("estimate", "lipschitz"), ("accept", "0 are left")):
        done = project.command("python", "-m", f"workflow.commands.{command}", *words)
        assert done.returncode == 0, done.stdout
        assert said in done.stdout
    whole = table.read_bytes()
    assert project.command("python", "-m", "workflow.commands.tables", *words).returncode == 0
    assert table.read_bytes() == whole
    assert project.command("python", "-m", "workflow.commands.publish", *words).returncode == 0
    (project.root / "results/lipschitz").rename(project.root / "results/away")
    done = project.command("python", "-m", "workflow.commands.republish", "--check")
    assert done.returncode == 0, done.stdout
    published = project.only("published/tiny-overlay-*/tables/lipschitz.csv")
    assert published.read_bytes() == whole
    assert '<section id="lipschitz">' in published.with_name("report.html").read_text()
