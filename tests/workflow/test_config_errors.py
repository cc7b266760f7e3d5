"""A faulty config is one line with the key's path and the cure, before any job starts."""

from pathlib import Path

import pytest
import yaml

from stages.core.errors import ConfigError
from tests.conftest import ROOT, TINY, Project
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan

FAULTS = {
    "unknown-key": ("methods: {lsp: {lsp: {wieght: 3}}}", "methods.lsp.lsp.wieght: unknown key (did you mean 'weight'"),
    "unknown-top-key": ("seedz: [0]", "seedz: unknown key (did you mean 'seeds'?)"),
    "wrong-type": ("recipes: {standard: {lr: abc}}", "recipes.standard.lr: 'abc' is not a number; write 0.1, 1e-1"),
    "bool-for-number": ("recipes: {standard: {lr: true}}", "recipes.standard.lr: a number is needed"),
    "out-of-range": ("seeds: [0, -1]", "seeds.1: Input should be greater than or equal to 0 (given: -1)"),
    "zero-images": ("datasets: {digits: {data: {train_images: 0}}}", "datasets.digits.data.train_images: "),
    "unknown-source": (
        "datasets: {digits: {data: {source: cifer10}}}",
        "datasets.digits.data.source: no such source (did you mean 'cifar10'?)",
    ),
    "unknown-data-set": ("tables: {table1: {datasets: [digit]}}", "'digit' is not known (did you mean 'digits'?)"),
    "unknown-method": (
        "tables: {table1: {methods: [tradez]}}",
        "tables.table1.methods: 'tradez' is not known (did you",
    ),
    "unknown-attack": ("tables: {table1: {attacks: [fgms]}}", "tables.table1.attacks: 'fgms' is not known (did you"),
    "unknown-objective": (
        "methods: {lsp: {objective: mort}}",
        "methods.lsp.objective: 'mort' is none of the objectives (did you",
    ),
    "unknown-setting": ("methods: {trades: {objective: {betta: 1}}}", "'betta' is no setting of trades (did you mean"),
    "unknown-option": ("attacks: {fgsm: {options: {steps: 1}}}", "attacks.fgsm.options: 'steps' is no setting of fgsm"),
    "unknown-recipe": ("methods: {lsp: {recipe: standart}}", "'standart' is not defined (did you mean 'standard'?)"),
    "unknown-stage": ("resources: {trian: {threads: 1}}", "resources.trian: no such kind of job (known: data, "),
    "m-beyond-depth": ("methods: {lsp: {lsp: {m: 9}}}", "methods.lsp.lsp.m: 9 neighbors are asked for"),
    "lsp-with-mixup": ("methods: {lsp: {augmentation: mixup}}", "an anchor mixed of two images has no neighbors"),
    "no-helper": ("methods: {trades: {objective: hat}}", "methods.trades: objective hat needs a helper net"),
    "helper-of-a-helper": ("methods: {hat: {helper: hat}}", "methods.hat.helper: 'hat' has a helper net of its"),
    "no-columns": ("tables: {table1: {attacks: []}}", "tables.table1: a table needs `attacks`"),
    "bad-name": ("tables: {a b: {datasets: [digits], methods: [lsp], attacks: [clean]}}", "tables.a b"),
    "table-of-pairs": (
        "tables: {comparisons: {datasets: [digits], methods: [lsp], attacks: [clean]}}",
        "tables.comparisons: a list beside the tables goes by this name; give the table another",
    ),
    "table-of-claims": (
        "tables: {claims-manifest: {datasets: [digits], methods: [lsp], attacks: [clean]}}",
        "tables.claims-manifest: a list beside the tables goes by this name; give the table another",
    ),
    "table-like-a-file-of-another": (
        "tables: {table1-document: {datasets: [digits], methods: [lsp], attacks: [clean]}}",
        "tables.table1-document: a file of tables.table1 goes by this name; give one another",
    ),
    "cells-of-an-exact-search": (
        "datasets: {digits: {neighbors: {probes: 4}}}",
        "datasets.digits.neighbors.probes: 4 is nothing to an exact search; set `index: ivf`, or leave it out",
    ),
    "title-twice": (
        "datasets: {more: {data: {source: digits, title: Digits}, features: {source: pixels}}}\n"
        "tables: {table1: {datasets: [digits, more], methods: [vanilla]}}",
        "datasets.more.data.title: 'Digits' is digits's, too, and tables and lists tell data sets by it; give each a",
    ),
    "preset-of-ones-own": (
        "methods: {mine: {preset: lsp}, next: {preset: mine}}",
        "methods.next.preset: 'mine' is no preset (known: at, ",
    ),
    "preset-misspelled": ("methods: {mine: {preset: lpsp}}", "methods.mine.preset: 'lpsp' is no preset (did you mean"),
    "duplicate-key": ("seeds: [0]\nseeds: [1]\n", "line 2: key 'seeds' stands here twice; keep one"),
    "missing-base": ("base: nowhere.yaml", "nowhere.yaml: no such config file"),
    "a-list": ("- seeds", "a mapping of keys to values is needed"),
    "not-yaml": ("seeds: [0", "not valid YAML"),
    "row-twice": ("tables: {table1: {methods: [lsp, lsp]}}", "tables.table1: row 'LSP on digits' stands twice"),
    "value-twice": ("tables: {table1: {methods: [lsp], vary: {lsp.m: [4, 4]}}}", "row 'm = 4 on digits' stands"),
    "column-twice": ("attacks: {fgsm: {label: Clean}}", "tables.table1.attacks: column 'Clean' stands twice"),
    "seed-twice": ("seeds: [3, 3]", "seeds '3' stands twice"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_with_the_path_and_the_cure(fault: str, tmp_path: Path) -> None:
    text, expected = FAULTS[fault]
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(text)
    with pytest.raises(ConfigError) as caught:
        make_plan(load_experiment([TINY, overlay], ROOT / "config.yaml"), tmp_path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["unknown-key", "duplicate-key", "seed-twice"])
def test_snakemake_ends_with_that_line_alone_and_starts_nothing(fresh: Project, fault: str) -> None:
    text, expected = FAULTS[fault]
    assert expected in fresh.refusal(text)


def test_a_command_ends_with_that_line_alone(fresh: Project) -> None:
    done = fresh.command("python", "-m", "workflow.commands.status", "--configfile", "nowhere.yaml")
    assert done.returncode == 1
    assert done.stdout == "error: nowhere.yaml: no such config file\n"


@pytest.mark.parametrize(
    ("written", "value"), [("1e-1", 0.1), ("8/255", 8 / 255), ("'0.25'", 0.25), ("1", 1.0), (".5", 0.5)]
)
def test_a_number_may_be_written_as_people_write_it(written: str, value: float, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"recipes: {{standard: {{lr: {written}}}}}")
    assert load_experiment([TINY, overlay], ROOT / "config.yaml").recipes["standard"].lr == value


def test_yaml_alone_would_have_read_that_number_as_a_string() -> None:
    assert yaml.safe_load("1e-1") == "1e-1"
