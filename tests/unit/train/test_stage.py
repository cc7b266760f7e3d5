"""The train stage from its command line: outputs, manifest, and every bad input as one line and no output."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from stages.core.artifacts import ImageSet, Structure, read_weights, write_images, write_structure, write_weights
from stages.core.images.split import held_out_mask
from stages.core.models import Classifier
from tests.unit.interrupting import place
from tests.unit.refusing import refusal
from tests.unit.train.diverging import diverge_at
from tests.unit.train.train_command import (
    ARCHITECTURE,
    CLASSES,
    IMAGES,
    OUTPUTS,
    M,
    given,
    outputs,
    run,
    settings,
    write_set,
)


def refused(folder: Path, capsys: pytest.CaptureFixture[str], chosen: Any, *extra: str) -> str:
    """The one line of a run that ends with status 1 and leaves no output."""
    (line,) = refusal(capsys, run, folder, chosen, *extra)
    assert not outputs(folder)
    assert not list(folder.glob(".*"))
    return line


METHODS: dict[str, tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = {
    "vanilla": ({}, ("monitor",), {}),
    "augmix": ({"augmentation": "augmix"}, (), {}),
    "lsp": ({"lsp": {"m": M}}, ("structure",), {}),
    "hat": ({"objective": "hat"}, ("helper",), {"schedule": {"kind": "onecycle"}, "epochs": 3}),
    "lsp+": ({"objective": "at", "lsp": {"m": M}}, ("structure", "monitor"), {"selection": "best_robust"}),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_run_writes_weights_history_and_manifest_and_drops_its_resume_state(name: str, folder: Path) -> None:
    method, inputs, recipe = METHODS[name]
    run(folder, settings(method, **recipe), *given(folder, *inputs))
    weights, architecture = read_weights(folder / OUTPUTS[0])
    Classifier(**architecture).load_state_dict(weights)
    history = pq.read_table(folder / OUTPUTS[1]).to_pylist()
    manifest = json.loads((folder / OUTPUTS[2]).read_text())
    epochs = recipe.get("epochs", 2)
    assert [row["epoch"] for row in history] == list(range(1, epochs + 1))
    assert ("lsp_loss" in history[0]) == ("monitor" in inputs)
    assert ("lsp_term" in history[0]) == ("lsp" in method)
    assert set(manifest["inputs"]) == {"train", "test", *inputs}
    assert manifest["seed"] == 3
    assert not list((folder / "resume").glob("*.pt"))
    best = max(history, key=lambda row: row["robust_accuracy"])
    selected = manifest["facts"]["test_selected"]
    assert (selected["epoch"], selected["pgd"]) == (best["epoch"], best["robust_accuracy"])
    assert (selected["n"], selected["subset"]) == (6, "stratified")
    assert selected["attack"] == {"norm": "linf", "epsilon": 0.1, "step_size": 0.05, "steps": 2}
    if "validation_robust" in history[0]:
        chosen = max(history, key=lambda row: row["validation_robust"])["epoch"]
        assert manifest["facts"]["selected_epoch"] == chosen
    else:
        assert manifest["facts"]["selected_epoch"] == epochs


def test_the_same_run_twice_gives_byte_equal_weights(folder: Path) -> None:
    run(folder, settings())
    first = (folder / OUTPUTS[0]).read_bytes()
    run(folder, settings())
    assert (folder / OUTPUTS[0]).read_bytes() == first


LSP, HAT = {"lsp": {"m": M}}, {"objective": "hat"}
BAD_SETTINGS: dict[str, tuple[Any, str]] = {
    "structure missing": (settings(LSP), "--structure is needed"),
    "helper missing": (settings(HAT), "--helper is needed"),
    "unknown objective": (settings({"objective": "tradez"}), "did you mean 'trades'?"),
    "unknown setting": (settings({"objective": {"name": "trades", "betta": 1}}), "did you mean 'beta'?"),
    "unknown key": (settings(epohcs=1), "recipe.epohcs: unknown key (did you mean 'epochs'?)"),
    "mixup with lsp": (settings({**LSP, "augmentation": "mixup"}), "has no neighbors"),
    "bad number": (settings(lr="1e400"), "recipe.lr"),
    "not JSON": ("{", "neither a JSON object nor @file.json"),
    "no such file": ("@nowhere.json", "neither a JSON object nor @file.json"),
    "severity": (
        settings({"augmentation": {"name": "augmix", "severity": 11}}),
        "severity: Input should be less",
    ),
    "no rise": (settings(schedule={"kind": "onecycle", "pct_start": 1}), "pct_start"),
}


@pytest.mark.parametrize("fault", BAD_SETTINGS)
def test_bad_settings_are_one_line_and_leave_no_output(
    fault: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen, message = BAD_SETTINGS[fault]
    assert message in refused(folder, capsys, chosen)


def test_a_structure_of_another_m_or_data_set_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(folder, capsys, settings({"lsp": {"m": M + 1}}), *given(folder, "structure"))
    assert "holds m = 2, the method has m = 3" in line
    write_set(folder / "train.safetensors", IMAGES - 1, 0)
    assert "40 anchors for 39" in refused(folder, capsys, settings(LSP), *given(folder, "structure"))


def test_a_structure_with_held_out_neighbors_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held_out = int(held_out_mask(IMAGES, 1024).nonzero()[0])
    others = [[held_out, 0 if row != 0 else 1] if row != held_out else [0, 1] for row in range(IMAGES)]
    others = [
        [a, b] if row not in (a, b) else [(row + 1) % IMAGES, (row + 2) % IMAGES] for row, (a, b) in enumerate(others)
    ]
    write_structure(folder / "structure.parquet", Structure(torch.tensor(others), torch.full((IMAGES, M), 1 / M)))
    chosen = settings({**LSP, "objective": "at"}, selection="best_robust")
    assert "held_out: 1024" in refused(folder, capsys, chosen, *given(folder, "structure"))


@pytest.mark.parametrize("name", ["train", "test", "structure", "helper"])
@pytest.mark.parametrize("fault", ["absent", "truncated", "altered", "foreign"])
def test_a_broken_input_is_one_line_that_names_it(
    name: str, fault: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / {"structure": "structure.parquet"}.get(name, f"{name}.safetensors")
    content = bytearray(path.read_bytes())
    if fault == "absent":
        path.unlink()
    elif fault == "truncated":
        path.write_bytes(content[: len(content) * 2 // 3])
    elif fault == "altered":
        content[30 if name == "structure" else -30] ^= 0x10
        path.write_bytes(content)
    else:
        path.write_bytes(b"<html>404</html>")
    line = refused(folder, capsys, settings({**LSP, **HAT}), *given(folder, "structure", "helper"))
    assert str(path) in line


def test_a_helper_that_does_not_fit_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "helper.safetensors"
    weights = Classifier(**ARCHITECTURE).state_dict()
    for changed in ({"classes": 9}, {"width": 4}, {"depth": 4}):
        write_weights(path, weights, {**ARCHITECTURE, **changed})
        assert "do not fit" in refused(folder, capsys, settings(HAT), *given(folder, "helper"))
    nine = {**ARCHITECTURE, "classes": 9}
    write_weights(path, Classifier(**nine).state_dict(), nine)
    assert "9 classes" in refused(folder, capsys, settings(HAT), *given(folder, "helper"))


def test_images_of_other_classes_or_without_labels_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(folder / "test.safetensors", 8, 1, ("a", "b", "c", "d"))
    assert "classes differ" in refused(folder, capsys, settings())
    images = torch.zeros(8, 3, 8, 8, dtype=torch.uint8)
    write_images(folder / "test.safetensors", ImageSet(images, torch.full((8,), -1), CLASSES))
    assert "unlabelled" in refused(folder, capsys, settings())


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "gpu"])
def test_a_device_that_is_not_there_is_one_line(
    device: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert f"device '{device}'" in refused(folder, capsys, settings(), "--device", device)


def test_a_diverging_run_is_one_line_beside_its_epochs_and_leaves_no_output(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge_at(monkeypatch, 3 + 1, to=float("inf"))
    *_, last = refusal(capsys, run, folder, settings())
    assert last.startswith("error: loss of objective ce is inf at epoch 2 step 1")
    assert place(folder / "resume/state.pt") == (1, 0)
    assert not outputs(folder)
