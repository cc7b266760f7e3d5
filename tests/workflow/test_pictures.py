"""The pictures in a plan: of which checkpoints, with which neighbors, at which radii; and made in two ways."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.core.pictures import read_pictures
from tests.conftest import EXPERIMENTS, ROOT, Project
from workflow.commands.publish import _sources
from workflow.planning.jobs import Job, Plan
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan

TABLE = "tables: {table1: {methods: [vanilla, lsp, trades], attacks: [clean]}, table2: null}\n"


def only(plan: Plan) -> Job:
    (job,) = plan.pictures.values()
    return job


def checkpoints(job: Job) -> dict[str, str]:
    return {
        name.removeprefix("checkpoint "): path for name, path in job.inputs.items() if name.startswith("checkpoint ")
    }


def test_a_data_set_has_one_job_of_all_methods_at_the_first_seed(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(TABLE + "seeds: [3, 0]")
    job = only(plan)
    shown = checkpoints(job)
    assert set(shown) == {"vanilla", "lsp", "trades"}
    assert all(f"/{name}-" in path and "/seed3/" in path for name, path in shown.items())
    assert json.loads(job.settings)["epsilons"] == dict.fromkeys(shown, 0.1)  # the recipe's
    assert job.inputs["structure"] == plan.train[next(key for key in plan.train if "vanilla" in key)].inputs["monitor"]
    assert plan.structure[Path(job.inputs["structure"]).parent.name].inputs["neighbors"] == job.inputs["neighbors"]
    assert job.file("pictures") == f"results/pictures/{job.key}/pictures.safetensors"
    assert job.key.startswith("digits-")


def test_the_demonstration_and_the_papers_experiment_have_one_for_each_data_set() -> None:
    for file in (ROOT / "config.yaml", EXPERIMENTS / "paper.yaml"):
        plan = make_plan(load_experiment([file], ROOT / "config.yaml"))
        tables = [job.plan for job in plan.tables.values() if job.plan.kind == "table"]
        shown = {row.dataset: set[str]() for table in tables for row in table.rows}
        for row in (row for table in tables for row in table.rows if not row.variant):
            shown[row.dataset].add(row.method)
        assert {key.rpartition("-")[0]: set(checkpoints(job)) for key, job in plan.pictures.items()} == shown


def test_a_variant_another_table_and_the_order_of_rows_change_nothing(plan_of: Callable[..., Plan]) -> None:
    before = only(plan_of(TABLE))
    varied = (
        "tables: {varied: {datasets: [digits], methods: [lsp], vary: {lsp.m: [2, 4]}, attacks: [clean], seeds: [5]}}"
    )
    for overlay in (varied, "tables: {table1: {methods: [trades, lsp, vanilla]}}", "seeds: [0, 1]"):
        assert only(plan_of(TABLE, overlay)) == before
    assert only(plan_of(TABLE, "tables: {table1: {methods: [trades, lsp]}}")).key != before.key
    assert only(plan_of(TABLE, "certificate: {epsilon: 4/255}")).key != before.key


def test_a_method_that_no_table_trains_at_the_first_seed_is_shown_at_its_own(plan_of: Callable[..., Plan]) -> None:
    late = "tables: {late: {datasets: [digits], methods: [lsp, at], attacks: [clean], seeds: [5, 6]}}"
    shown = checkpoints(only(plan_of(TABLE, late)))
    assert "/seed0/" in shown["lsp"]
    assert "/seed5/" in shown["at"]


def test_of_structures_the_one_that_holds_out_the_fewest_images_is_shown(plan_of: Callable[..., Plan]) -> None:
    held = "recipes: {adversarial: {selection: best_robust, validation_images: 10}}"
    plan = plan_of(TABLE + held)
    assert only(plan).inputs["structure"] == only(plan_of(TABLE)).inputs["structure"]
    alone = only(plan_of(TABLE, held + "\ntables: {table1: {methods: [trades]}}"))
    assert json.loads(plan.structure[Path(alone.inputs["structure"]).parent.name].settings)["held_out"] == 10


def test_a_figure_asks_for_no_pictures_and_neighbors_are_searched_for_no_checkpoint_from_elsewhere(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    (tmp_path / "my.pt").write_bytes(b"weights")
    mine = f"checkpoints: {{mine: {{file: {tmp_path / 'my.pt'}, dataset: digits}}}}\n"
    table = "tables: {table1: {methods: [mine], attacks: [clean]}, table2: null"
    figure = "losses: {kind: losses, datasets: [digits], methods: [vanilla]}"
    job = only(plan_of(f"{mine}{table}, {figure}}}"))
    assert set(checkpoints(job)) == {"mine"}
    assert job.inputs.keys() == {"train", "test", "checkpoint mine"}
    assert json.loads(job.settings)["epsilons"] == {"mine": pytest.approx(8 / 255)}


def test_no_picture_is_published(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of()
    assert plan.pictures
    assert not [path for path in _sources(plan) if "pictures" in path]


def test_snakemake_makes_them_and_a_table_by_hand_shows_what_is_there(project: Project) -> None:
    job = only(make_plan(load_experiment([project.root / "tiny.yaml"], ROOT / "config.yaml"), project.root / "results"))
    done = project.snakemake(job.file("pictures"))
    assert done.returncode == 0, done.stdout
    whole = (project.root / job.file("pictures")).read_bytes()
    pictures = read_pictures(project.root / job.file("pictures"))
    assert (pictures.methods, pictures.missing) == (("lsp", "trades", "vanilla"), ())
    assert pictures.neighborhoods.q.shape == (3, 9, 4)
    assert "pictures" not in project.counted()
    by_hand = ("python", "-m", "workflow.commands.tables", *project.configfiles())
    lost = project.root / job.inputs["checkpoint trades"]
    kept = lost.rename(lost.with_name("kept"))
    (project.root / job.file("pictures")).unlink()
    done = project.command(*by_hand)
    assert done.returncode == 0, done.stdout
    assert read_pictures(project.root / job.file("pictures")).missing == ("trades",)
    kept.rename(lost)
    assert project.command(*by_hand).returncode == 0
    assert (project.root / job.file("pictures")).read_bytes() == whole
    assert "pictures: " not in project.command(*by_hand).stdout
