"""What settings ask of a data set is held against its sizes as soon as these are known, and before any training."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.core.config.known import Known, measured
from stages.core.config.needs import Attacked, Needs, Run
from stages.core.errors import ConfigError
from stages.data.__main__ import main
from tests.conftest import ROOT, TINY, Project
from tests.unit.data.source_files import pictures, write_image_folder
from tests.unit.refusing import refusal
from workflow.planning.jobs import Plan
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan

ENOUGH = Known(train=1000, test=100, unlabelled=0, side=32, classes=10)
RUN = Run(method="lsp", batch_size=100, epochs=3, held_out=90, m=8, nearest=8, depth=16)
NEEDS = Needs(
    dataset="mine",
    paddings={"augment": 4},
    moco_batch=512,
    depth=16,
    runs=(RUN,),
    attacks=(Attacked(kind="autoattack", classes=4), Attacked(kind="pgd", radius=10.0)),
)
# What a data set has, and the keys of the lines in which that is refused.
SIZES: dict[str, tuple[dict[str, int], list[str]]] = {
    "enough": ({}, []),
    "few-classes": ({"classes": 3}, ["datasets.mine under autoattack.kind"]),
    "four-classes": ({"classes": 4}, []),
    "small-images": ({"side": 4}, ["datasets.mine.augment.padding", "datasets.mine under pgd.epsilon"]),
    "least-side": ({"side": 6}, []),
    "few-for-moco": ({"train": 511}, ["datasets.mine.features.moco.batch_size"]),
    "with-unlabelled": ({"train": 500, "unlabelled": 12}, []),
    "few-for-all": (
        {"train": 16},
        ["features.moco.batch_size", "datasets.mine.neighbors.depth", "batch_size of the recipe of methods.lsp"],
    ),
    "few-for-batches": ({"train": 109, "unlabelled": 999}, ["batch_size of the recipe of methods.lsp"]),
    "just-a-batch": ({"train": 111, "unlabelled": 999}, []),
}


@pytest.mark.parametrize("case", SIZES)
def test_every_size_that_is_too_small_is_a_line_with_its_key(case: str) -> None:
    sizes, keys = SIZES[case]
    lines = NEEDS.unmet(replace(ENOUGH, **sizes))
    assert len(lines) == len(keys), lines
    assert all(key in line for key, line in zip(keys, lines, strict=True)), lines


def test_what_is_not_known_is_not_refused() -> None:
    assert NEEDS.unmet(Known()) == []


def test_what_is_asked_survives_the_command_line() -> None:
    assert Needs.model_validate_json(json.dumps(NEEDS.model_dump(exclude_defaults=True))) == NEEDS


@pytest.mark.parametrize(
    ("nearest", "depth", "refused"), [(16, 16, True), (16, 18, False), (2, 16, False), (18, 20, False), (20, 20, True)]
)
def test_lists_that_the_held_out_images_leave_too_short_are_refused(nearest: int, depth: int, refused: bool) -> None:
    run = RUN.model_copy(update={"nearest": nearest, "depth": depth, "held_out": 1000})
    lines = list(run.unmet(replace(ENOUGH, train=10_000)))
    assert bool(lines) == refused
    if refused:
        assert "raise neighbors.depth or lower m" in lines[0]
        assert_some_anchor_lacks(nearest, depth)


def assert_some_anchor_lacks(nearest: int, depth: int) -> None:
    """With lists drawn at random, and one in ten images held out."""
    chance = np.random.default_rng(0)
    held_out = chance.permutation(10_000) < 1000
    left = (~held_out[chance.integers(0, 10_000, (10_000, depth))]).sum(axis=1)
    assert (left < nearest).mean() > 0.5


def test_what_is_held_against_a_plan_is_what_its_jobs_ask(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of("attacks: {fgsm: {kind: autoattack, epsilon: 0.1}}")
    (needs,) = plan.needs.values()
    assert (needs.dataset, needs.paddings, needs.moco_batch, needs.depth) == ("digits", {"augment": 1}, 100, 8)
    assert {run.method: run.m for run in needs.runs} == {"vanilla": 0, "lsp": 4, "trades": 0}
    assert {attack.kind: attack.classes for attack in needs.attacks} == {"clean": 1, "autoattack": 4}


def test_the_sizes_of_prepared_images_are_held_against_the_plan(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("datasets: {digits: {data: {source: image-folder, folder: /x, train_images: null}}}")

    def plan() -> Plan:
        return make_plan(load_experiment([TINY, overlay], ROOT / "config.yaml"), tmp_path / "results")

    manifest = tmp_path / next(iter(plan().data.values())).file("manifest")
    manifest.parent.mkdir(parents=True)
    split = {"images": 99, "shape": [3, 48, 48], "class_counts": [50, 49]}
    manifest.write_text(json.dumps({"facts": {"train": split, "test": split}}))
    with pytest.raises(ConfigError, match=r"^datasets\.digits\.features\.moco\.batch_size: 100 .* \(3 more like it\)$"):
        plan()
    manifest.write_text(json.dumps({"facts": {"train": {**split, "images": 100}, "test": split}}))
    plan()


@pytest.mark.parametrize("facts", [None, {}, [], {"train": None, "test": {}}, {"train": {"images": 3}}])
def test_facts_of_another_shape_are_not_taken(facts: object) -> None:
    with pytest.raises((KeyError, TypeError, IndexError)):
        measured(facts)  # type: ignore[arg-type]


def prepare(folder: Path, needs: Needs) -> None:
    """Run the data stage by hand."""
    outputs = [part for name in ("train", "test") for part in (f"--{name}", str(folder / f"{name}.safetensors"))]
    places = [
        "--downloads",
        str(folder),
        "--manifest",
        str(folder / "manifest.json"),
        "--folder",
        str(folder / "files"),
    ]
    main(["--settings", '{"source": "image-folder"}', *outputs, *places, "--needs", needs.model_dump_json()])


def test_the_data_stage_refuses_before_it_decodes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_image_folder(tmp_path / "files", pictures(0, 10, 8), pictures(1, 3, 8))
    for path in (tmp_path / "files").rglob("*.png"):
        path.write_bytes(b"no picture")
    said = refusal(capfd, prepare, tmp_path, NEEDS)
    assert [line.partition(":")[0] for line in said] == [
        "datasets.mine.features.moco.batch_size",
        "datasets.mine.neighbors.depth",
        "error",
    ]
    assert said[-1].startswith("error: datasets.mine: batch_size of the recipe of methods.lsp: 100 is more than the 9")


def test_the_data_stage_refuses_a_crop_that_misses_the_images(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_image_folder(tmp_path / "files", pictures(0, 10, 8), pictures(1, 3, 8))
    prepare(tmp_path, Needs(dataset="mine", paddings={"augment": 7}))
    said = refusal(capfd, prepare, tmp_path, Needs(dataset="mine", paddings={"augment": 8}))
    assert said[-1].startswith("error: datasets.mine.augment.padding: a crop 8 pixels off misses an image of 8")


@pytest.mark.slow
def test_nothing_is_trained_for_a_plan_that_its_images_cannot_meet(fresh: Project) -> None:
    labels = (np.arange(60) % 10, np.arange(12) % 10)
    write_image_folder(fresh.root / "files", pictures(0, 60, 48), pictures(1, 12, 48), labels)
    overlay = "datasets: {digits: {data: {source: image-folder, folder: files, train_images: null, test_images: null}}}"
    done = fresh.snakemake(overlay=overlay)
    assert done.returncode == 1
    assert "error: datasets.digits: batch_size of the recipe of methods." in done.stdout
    assert (
        "datasets.digits.features.moco.batch_size: 100 is more than the 60 images to train on; lower it" in done.stdout
    )
    assert {path.name for path in (fresh.root / "logs").iterdir()} <= {"data", "tables"}
