"""One changed value runs what depends on it and nothing else; what was run before stays and is found again."""

import pytest

from tests.conftest import Project

TRADES = "stages/train/objectives/trades.py"
PGD = "attacks: {pgd: {kind: pgd, label: PGD, epsilon: 0.1, options: {steps: 2, step_size: 0.05}}}\n"

ADDED = {
    "lambda": ("methods: {lsp: {lsp: {weight: 5}}}", {"train": 1, "attack": 1, "pictures": 1, "table": 2}),
    "m": ("methods: {lsp: {lsp: {m: 6}}}", {"structure": 1, "train": 1, "attack": 1, "pictures": 1, "table": 2}),
    "training-epsilon": (
        "recipes: {adversarial: {attack: {epsilon: 0.2}}}",
        {"train": 1, "attack": 1, "pictures": 1, "table": 2},
    ),
    "attack-epsilon": ("attacks: {fgsm: {epsilon: 0.2}}", {"attack": 3, "table": 2}),
    "seed": ("seeds: [0, 1]", {"train": 3, "attack": 3, "table": 2}),
    "attack": (PGD + "tables: {table1: {attacks: [clean, fgsm, pgd]}}", {"attack": 3, "table": 2}),
    "method": (
        "tables: {table1: {methods: [vanilla, lsp, trades, mart]}}",
        {"train": 1, "attack": 1, "pictures": 1, "table": 2},
    ),
    "varied-value": ("tables: {table2: {vary: {objective.beta: [1, 6]}}}", {"train": 1, "attack": 1, "table": 2}),
    "embedding": (
        "datasets: {digits: {features: {batch_size: 64}}}",
        {"embed": 1, "index": 1, "neighbors": 1, "structure": 1, "train": 3, "attack": 3, "pictures": 1, "table": 2},
    ),
}
TAKEN_AWAY = {
    "attack": "tables: {table1: {attacks: [clean]}, table2: null}",
    "method": "tables: {table1: {methods: [vanilla, lsp]}, table2: null}",
    "label": "attacks: {fgsm: {label: Fast}}\ntables: {table2: null}",
    "method-that-no-table-shows": "methods: {mart: {objective: {beta: 1}}}\ntables: {table2: null}",
    "attack-that-no-table-shows": PGD + "tables: {table2: null}",
}
OF_THE_MACHINE = """
device: cpu
downloads: elsewhere
resources: {train: {threads: 2, mem_mb: 1234, runtime: 9}, data: {gpu: 1}}
"""


@pytest.mark.parametrize("change", ADDED)
def test_an_added_or_changed_value_runs_its_own_jobs_and_no_others(project: Project, change: str) -> None:
    overlay, expected = ADDED[change]
    assert project.counted(overlay) == expected


@pytest.mark.parametrize("change", TAKEN_AWAY)
def test_a_value_taken_away_or_shown_by_no_table_makes_its_own_table_alone(project: Project, change: str) -> None:
    jobs = project.planned(TAKEN_AWAY[change])
    pictures = [job for job in jobs if job.startswith("pictures ")]  # of the methods that are left
    assert sorted(jobs) == [*pictures, "table table1"]
    assert len(pictures) == (change == "method")


def test_a_place_or_a_resource_reruns_nothing(project: Project) -> None:
    assert project.planned(OF_THE_MACHINE) == []


def test_a_second_run_in_a_moved_checkout_has_nothing_to_do(project: Project) -> None:
    done = project.snakemake()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


def test_a_touched_file_reruns_nothing_however_large(project: Project) -> None:
    assert project.only("data/*/train.safetensors").stat().st_size > 1_000_000  # Snakemake's own limit for checksums
    for folder in ("stages", "workflow", "results/data", "results/features", "results/attack"):
        for path in (project.root / folder).rglob("*"):
            path.touch()
    assert project.planned() == []


def test_a_changed_comment_or_docstring_reruns_nothing(project: Project) -> None:
    for path in (project.root / "stages").rglob("*.py"):
        path.write_text("# a new first line\n" + path.read_text() + "\n# and a last one\n")
    project.edit(TRADES, "TRADES objective (Zhang et al., 2019).", "Another docstring.")
    assert project.planned() == []


def test_an_edited_objective_reruns_that_objective_alone(project: Project) -> None:
    project.append(TRADES, "\nEDITED = 1\n")
    jobs = project.planned()
    assert {job.partition("-")[0] for job in jobs if not job.startswith("table ")} == {
        "train digits/trades",
        "attack digits/trades",
        "pictures digits",
    }
    assert len(jobs) == 5


def test_a_new_or_unused_component_reruns_nothing(project: Project) -> None:
    for kind in ("train/objectives", "train/augmentations", "attack/attacks"):
        (project.root / f"stages/{kind}/novel.py").write_text("def novel(*, weight: float = 1.0): ...\n")
    project.append("stages/train/objectives/mart.py", "\nEDITED = 1\n")
    assert project.planned() == []


def test_an_edited_attack_reruns_no_training(project: Project) -> None:
    project.append("stages/attack/attacks/fgsm.py", "\nEDITED = 1\n")
    assert project.counted() == {"attack": 3, "table": 2}


def test_an_added_attack_keeps_the_old_outcomes_and_the_earlier_config_finds_its_runs(project: Project) -> None:
    overlay = PGD + "tables: {table1: null, table2: {attacks: [clean, pgd]}}"
    before = {path: path.read_bytes() for path in (project.root / "results/attack").rglob("*.*")}
    done = project.snakemake(overlay=overlay)
    assert done.returncode == 0, done.stdout
    assert project.planned(overlay) == []
    assert project.planned() == []
    assert {path: path.read_bytes() for path in before} == before
    assert len(list((project.root / "results/attack").rglob("*.parquet"))) == 4
