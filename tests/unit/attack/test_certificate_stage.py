"""The certificate's command line: what it writes, what it refuses, and that an interruption costs nothing."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from stages.attack.certificate import battery, certify
from stages.attack.certificate.__main__ import main
from stages.core.artifacts import ImageSet, read_images, write_images
from tests.unit.refusing import refusal


def run(folder: Path, *more: str) -> dict[str, Any]:
    """The certificate of the folder's checkpoint."""
    main(
        [
            "--settings", json.dumps({"images": 5, "epsilon": "4/255"}),
            "--checkpoint", str(folder / "model.safetensors"),
            "--test", str(folder / "test.safetensors"),
            "--certificate", str(folder / "certificate.json"),
            "--text", str(folder / "certificate.md"),
            "--manifest", str(folder / "manifest.json"),
            "--resume", str(folder / "resume"),
            "--device", "cpu",
            "--threads", "1",
            *more,
        ]
    )  # fmt: skip
    found: dict[str, Any] = json.loads((folder / "certificate.json").read_text())
    return found


@pytest.mark.slow
def test_a_certificate_says_every_check_and_accuracy_and_what_to_do(folder: Path) -> None:
    found = run(folder, "--others", f"itself={folder / 'model.safetensors'}")
    assert (found["images"], found["epsilon"], found["accuracies"]["clean"]) == (5, 4 / 255, 100.0)
    assert len(found["checks"]) == len(certify.CHECKS)
    assert found["transferred"].keys() == {"itself"}
    text = (folder / "certificate.md").read_text()
    assert text.startswith(f"# Certificate: {found['verdict']}\n")
    for check in found["checks"]:
        assert f"| {check['name']} | {check['verdict']} | {check['found']} |" in text
        assert check["verdict"] == "pass" or f"- {check['name']} ({check['verdict']}): {check['advice']}" in text
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["facts"]["verdict"] == found["verdict"]
    assert manifest["inputs"]["other itself"]["sha256"] == manifest["inputs"]["checkpoint"]["sha256"]


@pytest.mark.slow
def test_interrupted_and_resumed_is_uninterrupted_and_no_attack_is_made_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(folder)
    made: list[str] = []
    evaluate = battery.evaluate

    def counted(trial: Any, finished: Any, *more: Any) -> Any:
        if not finished.batches and finished.whole.verdicts is None:
            made.append(trial.name)
        return evaluate(trial, finished, *more)

    def stopped(_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal was not heard")

    monkeypatch.setattr(battery, "evaluate", counted)
    with monkeypatch.context() as patch:
        patch.setattr(certify, "autoattack", stopped)
        with pytest.raises(SystemExit) as ended:
            run(folder)
    assert ended.value.code == 75
    (folder / "certificate.json").unlink()  # of before, which an attempt that fails leaves
    before = len(made)
    assert run(folder) == whole
    assert made[before:] == ["aa"]


def test_a_checkpoint_that_gets_nothing_right_fails_and_holds_up_no_table(folder: Path) -> None:
    test = read_images(folder / "test.safetensors")
    write_images(folder / "test.safetensors", ImageSet(test.images, (test.labels + 1) % 10, test.classes))
    found = run(folder)
    assert (found["verdict"], found["accuracies"]) == ("fail", {"clean": 0.0})
    assert "none of 5 images is classified correctly" in (folder / "certificate.md").read_text()


def test_an_other_needs_a_name_and_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'model.safetensors' must be NAME=FILE" in refusal(capsys, run, folder, "--others", "model.safetensors")[-1]
