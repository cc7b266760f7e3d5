"""From config files to runs: which files make an experiment, and how runs are named."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from stages.core.errors import ConfigError
from stages.core.files import unpacked_json
from tests.conftest import EXPERIMENTS, ROOT, TINY, Project
from workflow.planning.jobs import Job, Plan
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan

OVERLAYS = {"honest-columns.yaml"}


def folders(plan: Plan) -> list[str]:
    stages: list[Mapping[str, Job]] = [plan.data, plan.pretrain, plan.embed, plan.neighbors, plan.structure, plan.train]
    return [job.folder for jobs in (*stages, plan.attack) for job in jobs.values()] + list(plan.attack)


def cells(plan: Plan) -> int:
    tables = [job.plan for job in plan.tables.values() if job.plan.kind == "table"]
    return sum(len(table.rows) * len(table.columns) for table in tables)


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_experiment_plans_with_names_for_any_file_system(path: Path, tmp_path: Path) -> None:
    files = [EXPERIMENTS / "paper.yaml", path] if path.name in OVERLAYS else [path]
    plan = make_plan(load_experiment(files, ROOT / "config.yaml"), tmp_path)
    assert plan.train
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", part) for folder in folders(plan) for part in folder.split("/"))


def test_a_strange_value_still_gives_a_plain_name(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(
        "methods: {odd+one: {preset: lsp+, lsp: {m: 4, weight: 1/3}, objective: {name: trades, beta: 2e-5}}}\n"
        "tables: {table1: {methods: [odd+one]}}"
    )
    (name,) = [job.name for job in plan.train.values() if job.name.startswith("odd")]
    assert re.fullmatch(r"odd-plusone-[A-Za-z0-9._-]+-[0-9a-f]{8}", name)


def test_a_run_that_two_tables_ask_for_is_one_run(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of()
    assert len(plan.train) == 3
    first, second = (plan.tables[name].plan.rows[-1].runs[0] for name in ("table1", "table2"))
    assert first.outcomes["clean"] == second.outcomes["clean"]


@pytest.mark.parametrize("selection", ["last", "best_robust"])
def test_figures_for_parity_are_asked_for_where_the_run_selects_an_epoch(
    plan_of: Callable[..., Plan], selection: str
) -> None:
    plan = plan_of(f"recipes: {{adversarial: {{selection: {selection}}}, standard: {{selection: {selection}}}}}")
    runs = {row.label: row.runs[0] for row in plan.tables["table1"].plan.rows}
    asked = {label for label, run in runs.items() if run.test_selected}
    assert asked == ({"TRADES"} if selection == "best_robust" else set())


def test_a_column_tells_its_attack_with_all_options(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of("attacks: {fgsm: {images: 5}}")
    told = {column.attack: column.settings for column in plan.tables["table1"].plan.columns}
    clean, fgsm = told["clean"], told["fgsm"]
    assert clean is not None
    assert clean.kind == "clean"
    assert fgsm is not None
    assert (fgsm.epsilon, fgsm.images, fgsm.subset) == (0.1, 5, "stratified")


def test_pairs_are_those_of_tables_and_not_of_figures(plan_of: Callable[..., Plan]) -> None:
    figure = "figure3: {kind: losses, datasets: [digits], methods: [lsp]}"
    plan = plan_of(f"tables: {{{figure}}}")
    compared = unpacked_json(plan.lists["comparisons"].settings)
    assert [table["table"] for table in compared["plans"]] == ["table1", "table2"]
    assert "comparisons" not in plan_of(f"tables: {{{figure}, table1: null, table2: null}}").lists


def test_the_default_in_vary_is_the_presets_run(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of("tables: {table2: {vary: {objective.beta: [1, 6]}}}")
    one, six = (row.runs[0].name for row in plan.tables["table2"].plan.rows)
    assert plan.tables["table1"].plan.rows[-1].runs[0].name == six
    assert one.startswith("trades-beta1")


@pytest.mark.parametrize(
    "change",
    [
        "recipes: {standard: {lr: 0.2}}",
        "recipes: {standard: {epochs: 2}}",
        "datasets: {digits: {augment: {padding: 2}}}",
        "datasets: {digits: {model: {width: 2}}}",
        "datasets: {digits: {data: {subset_seed: 1}}}",
        "datasets: {digits: {features: {moco: {lr: 0.1}}}}",
        "datasets: {digits: {features: {embedding: backbone}}}",
        "datasets: {digits: {neighbors: {depth: 9}}}",
        "monitor: {anchors: 16}",
        "seeds: [1]",
    ],
)
def test_a_setting_that_can_change_a_run_gives_it_a_folder_of_its_own(
    plan_of: Callable[..., Plan], change: str
) -> None:
    vanilla = [
        {job.folder for job in plan.train.values() if "vanilla" in job.name} for plan in (plan_of(), plan_of(change))
    ]
    assert not vanilla[0] & vanilla[1]


@pytest.mark.parametrize(
    "change",
    [
        "title: Another\nnote: another",
        "methods: {vanilla: {title: Plain}}",
        "datasets: {digits: {data: {title: Numbers}}}",
        "attacks: {fgsm: {label: Fast}}",
        "device: cpu\nresources: {train: {threads: 3}}",
    ],
)
def test_a_setting_for_readers_or_machines_leaves_every_folder(plan_of: Callable[..., Plan], change: str) -> None:
    assert folders(plan_of(change)) == folders(plan_of())


@pytest.mark.parametrize("source", ["parquet", "cifar10"])
def test_where_files_lie_is_no_part_of_any_job(plan_of: Callable[..., Plan], source: str) -> None:
    one, other = (
        plan_of(f"datasets: {{digits: {{data: {{source: {source}, folder: {folder}}}}}}}") for folder in ("/a", "/b")
    )
    assert folders(one) == folders(other)
    assert (one.data, one.train) == (other.data, other.train)


def test_a_seed_of_63_bits_is_planned_everywhere(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(f"seeds: [{2**63 - 1}]\ncertify: [vanilla]\nlipschitz: {{methods: [vanilla]}}")
    assert {job.seed for job in plan.train.values()} == {2**63 - 1}
    assert {run.seed for row in plan.tables["table1"].plan.rows for run in row.runs} == {2**63 - 1}


def test_an_overlay_merges_and_an_experiment_stands_alone(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text("seeds: [7]\ntables: {table1: {methods: [lsp]}}")
    default = ROOT / "config.yaml"
    merged = load_experiment([tmp_path / "overlay.yaml"], default)
    assert merged.experiment == "digits"
    assert merged.seeds == [7]
    assert merged.tables["table1"].methods == ["lsp"]
    assert merged.tables["table1"].attacks == load_experiment([], default).tables["table1"].attacks
    alone = load_experiment([TINY], default)
    assert alone.experiment == "tiny"
    assert set(alone.tables) == {"table1", "table2"}


def test_a_base_is_merged_under_and_a_null_table_left_out(tmp_path: Path) -> None:
    tiny = yaml.safe_load(TINY.read_text())
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny))
    (tmp_path / "next.yaml").write_text("base: tiny.yaml\nexperiment: next\ntables: {table1: null}")
    loaded = load_experiment([tmp_path / "next.yaml"], ROOT / "config.yaml")
    assert loaded.experiment == "next"
    assert set(loaded.tables) == {"table2"}
    assert loaded.datasets == load_experiment([TINY], ROOT / "config.yaml").datasets


def test_a_base_takes_no_file_without_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY.read_text())
    (tmp_path / "next.yaml").write_text("base: tiny.yaml\nseeds: [1]")
    with pytest.raises(ConfigError, match="would write over its tables; give it an `experiment` of its own"):
        load_experiment([tmp_path / "next.yaml"], ROOT / "config.yaml")


def test_a_table_that_is_left_out_stays_out_unless_a_whole_one_is_given(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY.read_text())
    (tmp_path / "next.yaml").write_text("base: tiny.yaml\nexperiment: next\ntables: {table1: null}")
    (tmp_path / "columns.yaml").write_text("tables: {table1: {attacks: [clean]}, table2: {attacks: [clean]}}")
    whole = yaml.safe_load(TINY.read_text())["tables"]["table1"]
    (tmp_path / "whole.yaml").write_text(yaml.safe_dump({"tables": {"table1": whole}}))
    files = [tmp_path / "next.yaml", tmp_path / "columns.yaml"]
    loaded = load_experiment(files, ROOT / "config.yaml")
    assert {name: table.attacks for name, table in loaded.tables.items()} == {"table2": ["clean"]}
    assert set(load_experiment([*files, tmp_path / "whole.yaml"], ROOT / "config.yaml").tables) == {"table1", "table2"}


@pytest.mark.parametrize("file", ["paper", "cifar10", "stl10", "svhn", "tiny-imagenet", "sensitivity"])
def test_the_honest_columns_lie_on_every_experiment_of_the_paper(file: str) -> None:
    files = [ROOT / f"workflow/experiments/{name}.yaml" for name in (file, "honest-columns")]
    loaded = load_experiment(files, ROOT / "config.yaml")
    assert set(loaded.tables) == set(load_experiment(files[:1], ROOT / "config.yaml").tables)


def test_loading_changes_no_overrides_it_is_given() -> None:
    overrides = {"seeds": [4], "tables": {"table1": None}}
    kept = copy.deepcopy(overrides)
    assert load_experiment([TINY], ROOT / "config.yaml", overrides).seeds == [4]
    assert overrides == kept


def test_the_paper_is_239_cells(tmp_path: Path) -> None:
    assert cells(make_plan(load_experiment([EXPERIMENTS / "paper.yaml"], ROOT / "config.yaml"), tmp_path)) == 239


def test_planning_loads_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from pathlib import Path; from workflow.planning.load import load_experiment;"
        "from workflow.planning.tables import make_plan;"
        "make_plan(load_experiment([Path('workflow/experiments/paper.yaml')], Path('config.yaml')));"
        "print(sorted({'torch', 'numpy', 'pandas', 'pyarrow'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_snakemake_plans_every_training_of_the_paper(fresh: Project) -> None:
    done = fresh.command("snakemake", "-n", "--cores", "1", "--quiet", "rules", "--configfile",
                         "workflow/experiments/paper.yaml")  # fmt: skip
    plan = make_plan(load_experiment([EXPERIMENTS / "paper.yaml"], ROOT / "config.yaml"), fresh.root / "results")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE))
    assert done.returncode == 0, done.stdout
    assert counts["train"] == str(len(plan.train))
    assert counts["attack"] == str(len(plan.attack))


def test_a_helper_holds_out_what_its_method_selects_on_in_training_and_structure(plan_of: Callable[..., Plan]) -> None:
    selecting = "recipes: {adversarial: {selection: best_robust}}\ntables: {table1: {methods: [hat]}}\n"
    plan = plan_of(selecting + "methods: {hat-helper: {hold_out: true}}")
    jobs = [job for job in plan.train.values() if job.name.startswith("hat-")]
    assert len(jobs) == 2
    held_out = [json.loads(plan.structure[job.inputs["monitor"].split("/")[2]].settings)["held_out"] for job in jobs]
    assert held_out[0] == held_out[1] > 0
    plain = plan_of(selecting)
    helper = next(job for job in plain.train.values() if job.name.startswith("hat-helper-"))
    assert json.loads(plain.structure[helper.inputs["monitor"].split("/")[2]].settings)["held_out"] == 0


def test_holding_out_for_a_recipe_that_selects_on_nothing_is_refused_in_one_line(plan_of: Callable[..., Plan]) -> None:
    overlay = (
        "recipes: {adversarial: {selection: last}}\nmethods: {hat-helper: {hold_out: true}}\n"
        "tables: {table1: {methods: [hat]}}"
    )
    with pytest.raises(ConfigError, match=r"^methods\.hat-helper\.hold_out: recipe adversarial selects on no .*$"):
        plan_of(overlay)


def test_pixels_are_searched_and_shared_without_an_encoder(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of("tables: {table1: {methods: [lsp], vary: {lsp.space: [features, pixels]}}}")
    (key,) = [key for key in plan.embed if "-pixels-" in key]
    assert set(plan.embed[key].inputs) == {"train"}
    searched = [
        job for job in plan.neighbors.values() if job.inputs["embeddings"] == plan.embed[key].file("embeddings")
    ]
    assert len(searched) == 1
    assert len(plan.pretrain) == 1
