"""The table of stages: each fact of a kind of job stands there once, and rules and code agree with it."""

import re
from collections.abc import Callable

import pytest

from stages.core.code import source_file
from stages.core.errors import ConfigError
from tests.conftest import ROOT, Project
from workflow.planning.jobs import Plan
from workflow.planning.stages import (
    ASSUMPTIONS,
    CERTIFICATES,
    CLAIMS,
    COMPARISONS,
    FIGURE,
    LIPSCHITZ_LIST,
    REPORT,
    RESOURCES,
    STAGES,
    TABLE,
    Stage,
)

ALL = (*STAGES, TABLE, FIGURE, COMPARISONS, CERTIFICATES, LIPSCHITZ_LIST, CLAIMS, ASSUMPTIONS, REPORT)


def test_every_rule_is_a_stage_and_every_stage_a_rule() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = re.findall(r"^(?:rule|use rule \w+ as) (\w+)", text, re.MULTILINE)
    assert sorted(rules) == sorted(stage.name for stage in ALL)


def test_the_cluster_examples_name_every_stage_that_asks_for_a_gpu() -> None:
    asking = {stage.name for stage in STAGES if RESOURCES[stage.resources].get("gpu")}
    for path in ("workflow/profiles/slurm/config.yaml", "docs/cluster.md"):
        named = re.findall(r"^[# ]+(\w+): \{slurm_partition: gpu,", (ROOT / path).read_text(), re.MULTILINE)
        assert sorted(named) == sorted(asking), path


def test_what_trainings_wait_for_begins_before_any_number_of_them_and_they_before_all_else(fresh: Project) -> None:
    """Snakemake takes the jobs whose priorities sum up to the most; a job takes a machine's threads at most."""
    done = fresh.snakemake("-n")
    rules = re.findall(r"^rule (\w+):\n((?: {4}.*\n)*)", done.stdout, re.MULTILINE)
    told = {rule: re.search(r"^ {4}priority: (\d+)$", lines, re.MULTILINE) for rule, lines in rules}
    priorities = {rule: int(found[1]) if found else 0 for rule, found in told.items()}
    before = {"data", "pretrain", "embed", "index", "neighbors", "structure"}
    assert before < priorities.keys(), done.stdout
    assert {rule: priority for rule, priority in priorities.items() if priority} == {
        **dict.fromkeys(before, 1000),
        "train": 1,
    }


@pytest.mark.parametrize("stage", ALL, ids=lambda stage: stage.name)
def test_a_stage_asks_for_known_resources_and_its_modules_and_command_exist(stage: Stage) -> None:
    assert stage.resources in RESOURCES
    assert all(source_file(module) for module in stage.modules)
    command = f"stages.{stage.command.split()[0]}"
    assert source_file(f"{command}.__main__") or source_file(command)
    assert {*stage.undeclared, *stage.published} <= stage.files.keys()


def test_no_two_stages_write_the_same_file() -> None:
    files = [stage.file(name, "key") for stage in STAGES for name in stage.files]
    assert len(set(files)) == len(files)


def test_an_attack_that_is_alone_asks_for_its_own_resources(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(
        "attacks: {strong: {kind: autoattack, epsilon: 0.1, images: 4}}\n"
        "tables: {table1: {attacks: [clean, fgsm, strong]}, table2: null}"
    )
    asked = {key.rpartition("/")[2].partition("-")[0]: job.resources for key, job in plan.attack.items()}
    assert asked == {"attacks": "attack", "autoattack": "autoattack"}


def test_a_table_that_cannot_be_laid_out_is_refused_when_planned(plan_of: Callable[..., Plan]) -> None:
    other = "data: {source: digits, train_images: 100, test_images: 24}, features: {source: pixels}"
    table = "{layout: attacks, datasets: [digits, other], attacks: [clean], methods: [vanilla]}"
    form = "datasets: {{other: {{{}}}}}\ntables: {{table1: {}, table2: null}}"
    assert len(plan_of(form.format(other, table)).tables["table1"].plan.rows) == 2
    with pytest.raises(ConfigError, match=r"^tables\.table1: .* differ between its data sets"):
        plan_of(form.format(f"{other}, methods: {{vanilla: {{title: Plain}}}}", table))
