"""The attack stage from its command line, end to end."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.core.artifacts import ImageSet, write_images, write_weights
from stages.core.models import Classifier
from stages.core.outcomes import read_outcomes
from tests.unit.attack.attack_command import ARCHITECTURE, ATTACKS, run
from tests.unit.refusing import refusal


def test_one_table_holds_every_attack_and_the_manifest_sums_it_up(folder: Path) -> None:
    run(folder)
    frame = read_outcomes(folder / "outcomes.parquet").to_pandas()
    manifest = json.loads((folder / "manifest.json").read_text())
    facts = manifest["facts"]["attacks"]
    assert frame.groupby("attack", sort=False).size().to_dict() == {"none": 7, "pgd-2": 5, "one-step": 7, "cw": 4}
    for name, rows in frame.groupby("attack"):
        assert facts[name]["n"] == len(rows)
        assert facts[name]["robust_accuracy"] == pytest.approx(rows["robust"].mean())
        assert facts[name]["clean_accuracy"] == 1.0
        assert facts[name]["largest_l2"] == pytest.approx(rows["l2"].max())
        assert facts[name]["seconds"] >= 0
    assert facts["none"]["robust_accuracy"] == 1.0
    assert facts["pgd-2"]["largest_linf"] == pytest.approx(2 / 255, abs=1e-6)
    assert 3.0 < facts["one-step"]["largest_l2"] <= 4 + 1e-4
    assert facts["one-step"]["robust_accuracy"] < 1.0
    options = {"step_size": 2 / 255, "steps": 2, "restarts": 1, "random_start": True}
    assert manifest["settings"]["attacks"]["pgd-2"]["options"] == options


def test_the_same_settings_write_the_same_bytes_whatever_runs_beside_them(folder: Path) -> None:
    run(folder)
    first = (folder / "outcomes.parquet").read_bytes()
    whole = read_outcomes(folder / "outcomes.parquet").to_pandas()
    run(folder)
    assert (folder / "outcomes.parquet").read_bytes() == first
    run(folder, {"pgd-2": ATTACKS["pgd-2"]})
    alone = read_outcomes(folder / "outcomes.parquet").to_pandas()
    assert alone.equals(whole[whole["attack"] == "pgd-2"].reset_index(drop=True))


def wrong_shape(folder: Path) -> str:
    with torch.random.fork_rng(devices=[]):
        write_weights(
            folder / "model.safetensors", Classifier(**ARCHITECTURE).state_dict(), {**ARCHITECTURE, "width": 4}
        )
    return "do not fit the architecture"


def other_classes(folder: Path) -> str:
    images = torch.zeros((2, 3, 8, 8), dtype=torch.uint8)
    write_images(folder / "test.safetensors", ImageSet(images, torch.tensor([0, 1]), ("a", "b", "c")))
    return "have 3 classes and the model 10"


def not_a_number(folder: Path) -> str:
    with torch.random.fork_rng(devices=[]):
        weights = Classifier(**ARCHITECTURE).state_dict()
    weights["head.bias"] = torch.full((10,), torch.nan)
    write_weights(folder / "model.safetensors", weights, ARCHITECTURE)
    return "a logit is not finite"


def no_checkpoint(folder: Path) -> str:
    (folder / "model.safetensors").unlink()
    return "no such file"


@pytest.mark.parametrize("fault", [wrong_shape, other_classes, not_a_number, no_checkpoint])
def test_a_fault_is_one_line_status_one_and_no_output(
    folder: Path, capsys: pytest.CaptureFixture[str], fault: Any
) -> None:
    message = fault(folder)
    (line,) = refusal(capsys, run, folder)
    assert message in line
    assert not (folder / "outcomes.parquet").exists()
    assert not (folder / "manifest.json").exists()
