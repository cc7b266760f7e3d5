"""The train stage interrupted, started again and asked for twice, from its command line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages.core.artifacts import write_structure, write_weights
from stages.core.models import Classifier
from stages.train import loop
from tests.unit.interrupting import place, signal_at
from tests.unit.train.train_command import (
    ARCHITECTURE,
    IMAGES,
    OUTPUTS,
    M,
    given,
    outputs,
    run,
    settings,
    structure,
    words,
    write_set,
)

TERMINATED_IN_THE_FIFTH_STEP = """
import os, runpy, signal
from stages.train import loop

whole, calls = loop.method_loss, 0

def terminated(*arguments):
    global calls
    calls += 1
    if calls == 5:
        os.kill(os.getpid(), signal.SIGTERM)
    return whole(*arguments)

loop.method_loss = terminated
runpy.run_module("stages.train", run_name="__main__")
"""


@pytest.mark.slow
def test_a_process_that_gets_sigterm_exits_75_without_outputs_of_its_own_and_the_next_one_finishes_its_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, settings(), "--threads", "1")
    whole = (folder / OUTPUTS[0]).read_bytes()
    for name in outputs(folder):
        (folder / name).unlink()
    command = [sys.executable, "-c", TERMINATED_IN_THE_FIFTH_STEP, *words(folder, settings(), "--threads", "1")]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 75, first.stderr
    assert "interrupted by SIGTERM after epoch 1, step 2 of 3" in first.stderr
    assert not outputs(folder)
    assert place(folder / "resume/state.pt") == (1, 2)
    (folder / "resume/.state.pt.half").touch()
    run(folder, settings(), "--threads", "1")
    assert "resumed after epoch 1, step 2" in capsys.readouterr().err
    assert (folder / OUTPUTS[0]).read_bytes() == whole
    assert not list((folder / "resume").glob("*.pt*"))


def test_a_finished_job_is_taken_by_an_attempt_planned_before_and_done_again_by_a_later_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the seconds in the history, both give the same."""
    run(folder, settings())
    first = outputs(folder)
    original, steps = loop._step, 0

    def counted(*arguments: Any) -> None:
        nonlocal steps
        steps += 1
        original(*arguments)

    monkeypatch.setattr(loop, "_step", counted)
    for name in first:
        (folder / name).unlink()
    run(folder, settings(), "--planned-at", "0")
    assert outputs(folder) == first
    assert steps == 0
    for changed in (settings(lr=0.06), settings()):
        run(folder, changed, "--planned-at", "0")
    assert steps == 2 * 6
    run(folder, settings())
    assert steps == 3 * 6
    assert (folder / OUTPUTS[0]).read_bytes() == first[OUTPUTS[0]]


@pytest.mark.parametrize("name", ["train", "test", "structure", "helper"])
def test_a_state_made_from_another_input_is_left_aside(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method = {"objective": "hat", "lsp": {"m": M}}
    files = given(folder, "structure", "helper")
    with pytest.MonkeyPatch.context() as patch:
        signal_at(patch, loop, "method_loss", 2)
        with pytest.raises(SystemExit) as ended:
            run(folder, settings(method), *files)
    assert ended.value.code == 75
    if name == "structure":
        write_structure(folder / "structure.parquet", structure(0.25))
    elif name == "helper":
        other = {key: value + 1 for key, value in Classifier(**ARCHITECTURE).state_dict().items()}
        write_weights(folder / "helper.safetensors", other, ARCHITECTURE)
    else:
        write_set(folder / f"{name}.safetensors", IMAGES, 7)
    run(folder, settings(method), *files)
    assert "starting over" in capsys.readouterr().err
