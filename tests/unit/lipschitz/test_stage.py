"""The lipschitz stage: a row an image, the same bytes again, also after an interruption."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from stages.core.artifacts import read_images, write_images, write_weights
from stages.core.images.pixels import to_unit
from stages.core.images.subset import measured_images
from stages.core.lipschitz import SCHEMA, read_lipschitz, summary
from stages.lipschitz import __main__ as stage
from tests.unit.drawing import labelled_images
from tests.unit.interrupting import signal_at
from tests.unit.lipschitz.networks import convolutional
from tests.unit.refusing import refusal

ARCHITECTURE = {"backbone": "resnet18", "width": 2, "classes": 3}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint and 12 test images, measured four at a time."""
    monkeypatch.setattr(stage, "BATCH", 4)
    write_images(tmp_path / "test.safetensors", labelled_images(12, 2))
    write_weights(tmp_path / "model.safetensors", convolutional(0).state_dict(), ARCHITECTURE)
    return tmp_path


def run(folder: Path, **settings: Any) -> pa.Table:
    stage.main(
        [
            "--settings", json.dumps({"images": 9, "starts": 2, "steps": 4, **settings}),
            "--checkpoint", str(folder / "model.safetensors"),
            "--test", str(folder / "test.safetensors"),
            "--outcomes", str(folder / "outcomes.parquet"),
            "--manifest", str(folder / "manifest.json"),
            "--resume", str(folder / "resume"),
            "--device", "cpu",
            "--threads", "1",
        ]
    )  # fmt: skip
    return read_lipschitz(folder / "outcomes.parquet")


def test_a_row_stands_for_each_chosen_image_and_the_manifest_sums_them_up(folder: Path) -> None:
    table, test = run(folder), read_images(folder / "test.safetensors")
    rows = measured_images(test.labels, 9, "stratified")
    assert table.column("index").to_pylist() == rows.tolist()
    assert table.column("label").to_pylist() == test.labels[rows].tolist()
    with torch.no_grad():
        predictions = convolutional(0)(to_unit(test.images[rows])).argmax(1)
    assert table.column("prediction").to_pylist() == predictions.tolist()
    assert table.schema.names == SCHEMA.names
    for broken, distance in zip(table["broken"].to_pylist(), table["distance"].to_pylist(), strict=True):
        assert broken == (distance is not None)
    facts = json.loads((folder / "manifest.json").read_text())["facts"]
    assert facts == json.loads(json.dumps(summary(table)))
    for name, column in (("lipschitz", "lipschitz"), ("radius", "radius")):
        assert facts[name][0] == pytest.approx(sum(table[column].to_pylist()) / 9)


def test_more_images_than_there_are_is_all_and_a_second_run_gives_the_same_bytes(folder: Path) -> None:
    assert len(run(folder, images=40)) == 12
    first = (folder / "outcomes.parquet").read_bytes()
    run(folder, images=40)
    assert (folder / "outcomes.parquet").read_bytes() == first
    run(folder, images=40, seed=1)
    assert (folder / "outcomes.parquet").read_bytes() != first


@pytest.mark.parametrize("call", [1, 2, 3])
def test_interrupted_and_resumed_is_uninterrupted_and_no_batch_is_measured_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: int
) -> None:
    run(folder)
    whole = (folder / "outcomes.parquet").read_bytes()
    made: list[int] = []
    measure = stage.measure

    def counted(*words: Any) -> Any:
        made.append(1)
        return measure(*words)

    monkeypatch.setattr(stage, "measure", counted)
    with monkeypatch.context() as patch:
        signal_at(patch, stage, "measure", call)
        with pytest.raises(SystemExit) as ended:
            run(folder)
    assert ended.value.code == 75
    assert (folder / "outcomes.parquet").read_bytes() == whole  # an attempt that fails leaves what was there
    (folder / "outcomes.parquet").unlink()
    run(folder)
    assert (folder / "outcomes.parquet").read_bytes() == whole
    assert len(made) == 3 + 1  # the batch that was interrupted is measured anew
    assert (f"resumed after {call - 1} batches" in capsys.readouterr().err) == (call > 1)


def test_what_does_not_fit_together_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = read_images(folder / "test.safetensors")
    write_images(folder / "test.safetensors", replace(test, labels=torch.full_like(test.labels, -1)))
    assert "carry no labels" in refusal(capsys, run, folder)[-1]
    write_images(folder / "test.safetensors", labelled_images(12, 2, classes=("a", "b")))
    assert "have 2 classes and the model 3" in refusal(capsys, run, folder)[-1]
    assert "delta" in refusal(capsys, run, folder, delta=0)[-1]
    assert not (folder / "outcomes.parquet").exists()
