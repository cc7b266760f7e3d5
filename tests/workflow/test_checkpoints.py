"""Weights from elsewhere as a row of a table: planned, refused where it cannot be, and the same verdicts as our own."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from stages.core.artifacts import read_weights
from stages.core.errors import ConfigError
from tests.conftest import ROOT, Project
from tests.docs.blocks import blocks
from workflow.planning.experiment import merge
from workflow.planning.jobs import Plan

STANZA = """
checkpoints: {{mine: {{file: {file}, dataset: digits, title: Mine}}}}
tables: {{mine: {{datasets: [digits], methods: [vanilla, mine], attacks: [clean, fgsm]}}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my.pt"
    path.write_bytes(b"weights")
    return path


def test_a_checkpoint_is_read_once_and_attacked_as_a_method_is(plan_of: Callable[..., Plan], file: Path) -> None:
    plan = plan_of(STANZA.format(file=file))
    (weights,) = plan.weights.values()
    assert weights.inputs == {"file": str(file), "test": plan.data[next(iter(plan.data))].file("test")}
    row = next(row for row in plan.tables["mine"].plan.rows if row.label == "Mine")
    (run,) = row.runs
    attacks = [job for job in plan.attack.values() if job.inputs["checkpoint"] == weights.file("checkpoint")]
    assert {outcome.path for outcome in run.outcomes.values()} == {job.file("outcomes") for job in attacks}
    assert run.history is None


def test_a_name_holds_the_files_content_and_not_its_place(plan_of: Callable[..., Plan], file: Path) -> None:
    (name,) = plan_of(STANZA.format(file=file)).weights
    moved = file.rename(file.with_name("other.pt"))
    assert list(plan_of(STANZA.format(file=moved)).weights) == [name]
    moved.write_bytes(b"other weights")
    assert list(plan_of(STANZA.format(file=moved)).weights) != [name]


def test_a_name_holds_the_content_of_the_users_code(plan_of: Callable[..., Plan], file: Path) -> None:
    code = file.with_name("net.py")
    code.write_text("def net(): ...")
    stanza = STANZA.format(file=f"{file}, architecture: '{code}:net'")
    (weights,) = plan_of(stanza).weights.values()
    assert weights.inputs["code"] == str(code)
    code.write_text("def net(): pass")
    assert list(plan_of(stanza).weights) != [weights.key]
    code.unlink()
    with pytest.raises(ConfigError, match=r"checkpoints\.mine\.architecture: .*net\.py cannot be read"):
        plan_of(stanza)


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ("checkpoints: {at: {file: FILE, dataset: digits}}", r"checkpoints\.at: a method goes by this name"),
        ("checkpoints: {mine: {file: FILE, dataset: digit}}", r"checkpoints\.mine\.dataset: 'digit' .*mean 'digits'"),
        ("checkpoints: {mine: {file: FILE, dataset: digits, mean: [0, 0, 0]}}", "mean and std go together"),
        ("checkpoints: {mine: {file: FILE, dataset: digits, mean: [125, 0, 0], std: [1, 1, 1]}}", r"\[0, 1\]"),
        ("checkpoints: {mine: {file: ' ', dataset: digits}}", "name the file"),
        (
            "checkpoints: {mine: {file: nowhere.pt, dataset: digits}}\n"
            "tables: {mine: {datasets: [digits], methods: [mine], attacks: [clean]}}",
            r"checkpoints\.mine\.file: nowhere\.pt cannot be read \(No such file",
        ),
        (
            "checkpoints: {mine: {file: FILE, dataset: digits}}\n"
            "tables: {mine: {kind: losses, datasets: [digits], methods: [mine]}}",
            r"tables\.mine\.methods: 'mine' is a checkpoint and has no history",
        ),
        (
            "checkpoints: {mine: {file: FILE, dataset: digits}}\n"
            "tables: {mine: {datasets: [digits], methods: [mine], vary: {lsp.m: [4, 8]}, attacks: [clean]}}",
            r"tables\.mine: 'mine' is a checkpoint, in which nothing can be varied",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(
    overlay: str, said: str, plan_of: Callable[..., Plan], file: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_of(overlay.replace("FILE", str(file)))


@pytest.mark.slow
def test_our_own_weights_from_a_file_get_our_own_verdicts(project: Project) -> None:
    """A trained checkpoint, saved as others save theirs, is recognized and scored image by image as before."""
    weights, _ = read_weights(project.only("train/digits/trades-*/seed0/model.safetensors"))
    plain = {f"module.{name}": value for name, value in weights.items()}
    torch.save({"model": plain, "epoch": 1}, project.root / "my.pt")
    overlay = STANZA.format(file="my.pt").replace("vanilla, mine", "trades, mine")
    done = project.snakemake(overlay=overlay)
    assert done.returncode == 0, done.stdout
    table = pd.read_csv(project.only("tables/tiny/overlay-*/mine.csv")).pivot_table("accuracy", "column", "row")
    assert (table["TRADES"] == table["Mine"]).all()
    facts = project.manifest("weights/digits/mine-*/seed0/manifest.json")["facts"]
    assert (facts["architecture"], facts["width"]) == ("ours:resnet18", 1)


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(project: Project) -> None:
    page = ROOT / "docs/checkpoints.md"
    (script,) = [block.text for block in blocks("python") if block.page == page]
    (stanza,) = [block.text for block in blocks("yaml") if block.page == page]
    (project.root / "train_mine.py").write_text(script)
    done = project.command("python", "train_mine.py")
    assert done.returncode == 0, done.stdout
    as_on_the_page = {"datasets": {"digits": {"data": {"image_size": None, "test_images": None}}}}
    alone = {"tables": {"table1": {"methods": ["mine"]}, "table2": None}}
    overlay = merge(merge(yaml.safe_load(stanza), as_on_the_page), alone)
    done = project.snakemake(overlay=yaml.safe_dump(overlay))
    assert done.returncode == 0, done.stdout
    table = pd.read_csv(project.only("tables/tiny/overlay-*/table1.csv"))
    clean = table[(table["row"] == "Mine (torchvision)") & (table["column"] == "Clean")]["accuracy"].item()
    assert clean > 50
    facts = project.manifest("weights/digits/mine-*/seed0/manifest.json")["facts"]
    assert (facts["architecture"], facts["normalization"]) == ("torchvision:resnet18+small_stem", "0.5 and 0.5")
