"""MoCo pre-training that is interrupted and resumed equals one that is not."""

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import stages.features.pretrain as training
from stages.core.config.moco import Moco
from stages.core.job import epochs
from stages.core.job.interrupt import Interrupted, interruptible
from stages.features import state as state_module
from stages.features import step as step_module
from stages.features.state import PretrainState
from tests.unit.features.small_pretraining import EPOCHS, SMALL, STEPS, VARIANTS, everything, run
from tests.unit.interrupting import EndOfProcess, end_at, interrupted_at, place, plain, saved, signal_at_line

# Where the signal comes: as this call of this function ends; and the (epoch, step) then saved.
MOMENTS: dict[str, tuple[Any, str, int, tuple[int, int]]] = {
    "the first step": (training, "train_step", 1, (0, 1)),
    "the last step of an epoch": (training, "train_step", STEPS, (0, STEPS)),
    "the first step of an epoch": (training, "train_step", STEPS + 1, (1, 1)),
    "the last step": (training, "train_step", EPOCHS * STEPS, (EPOCHS - 1, STEPS)),
    "drawing a view": (step_module, "view", 2 * (STEPS + 1) + 2, (1, 2)),
    "the optimizer": (torch.optim.SGD, "step", 2 * STEPS + 2, (2, 2)),
    "the queue": (training.Queue, "push", 5, (1, 2)),
    "in the last measurement": (training, "knn_accuracy", -1, (EPOCHS - 1, STEPS)),
    "saving": (epochs, "save_state", 2, (2, 0)),
    "the end of the last epoch": (epochs, "save_state", EPOCHS, (EPOCHS, 0)),
}


def interrupted(settings: Moco, path: Path, owner: Any, name: str, call: int) -> None:
    """A run that ends with Interrupted, because SIGTERM came in this call."""
    with interrupted_at(owner, name, call):
        run(settings, path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each variant results in that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    return {name: everything(run(settings, folder / name)) for name, settings in VARIANTS.items()}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", VARIANTS)
def test_interrupted_at_any_moment_and_resumed_equals_uninterrupted_bit_for_bit(
    name: str, moment: str, tmp_path: Path, whole: dict[str, Any]
) -> None:
    settings = VARIANTS[name]
    owner, function, call, expected = MOMENTS[moment]
    measurements = sum(row["knn_accuracy"] != "nan" for row in whole[name]["history"])
    interrupted(settings, tmp_path / "state.pt", owner, function, measurements if call < 0 else call)
    assert place(tmp_path / "state.pt") == expected
    assert everything(run(settings, tmp_path / "state.pt", initial=99)) == whole[name]


@pytest.mark.slow
def test_interrupted_before_any_line_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    """Each line of the loop, a step and the state, at the last time that it runs."""
    settings = Moco(**{**SMALL, "epochs": 2, "batch_size": 28}, monitor_epochs=2)
    modules = (training, step_module, state_module, epochs)
    with signal_at_line(0, *modules) as lines:
        expected = everything(run(settings, tmp_path / "whole.pt"))
    restored = 0
    for line, number in {line: number for number, line in enumerate(lines, start=1)}.items():
        path = tmp_path / f"{number}.pt"
        with interruptible(), contextlib.suppress(Interrupted), signal_at_line(number, *modules):
            run(settings, path)
        restored += path.exists()
        assert everything(run(settings, path)) == expected, f"interrupted before {line}"
    assert restored > 50


@pytest.mark.parametrize(
    ("owner", "function", "call"),
    [(training, "train_step", 5), (step_module, "view", 10), (torch.optim.SGD, "step", 5), (training.Queue, "push", 5)],
)
def test_a_signal_anywhere_in_a_step_waits_for_its_end(
    owner: Any, function: str, call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is saved equals what an uninterrupted run holds as its next step begins."""
    settings, begins = VARIANTS["split"], []
    with monkeypatch.context() as patch:
        step = training.train_step

        def watched(chosen: Moco, state: PretrainState, images: Tensor) -> Tensor:
            state.save(tmp_path / "begin.pt", "any")
            begins.append(saved(tmp_path / "begin.pt"))
            return step(chosen, state, images)

        patch.setattr(training, "train_step", watched)
        run(settings, tmp_path / "whole.pt")
    interrupted(settings, tmp_path / "state.pt", owner, function, call)
    assert plain(saved(tmp_path / "state.pt")) == plain(begins[5])


@pytest.mark.parametrize(("every", "expected"), [(0.0, (2, 1)), (300.0, (2, 0))])
def test_a_killed_process_loses_no_more_than_the_time_between_saves(
    every: float,
    expected: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: dict[str, Any],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(epochs, "saving", partial(epochs.saving, every=every))
        end_at(patch, training, "train_step", 2 * STEPS + 2)
        with pytest.raises(EndOfProcess):
            run(VARIANTS["split"], tmp_path / "state.pt")
    assert place(tmp_path / "state.pt") == expected
    assert everything(run(VARIANTS["split"], tmp_path / "state.pt")) == whole["split"]


def test_an_interruption_says_where_it_came_and_the_next_attempt_where_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(VARIANTS["split"], tmp_path / "state.pt", training, "train_step", STEPS + 2)
    assert "interrupted by SIGTERM after epoch 1, step 2 of 3: state saved in" in capsys.readouterr().err
    run(VARIANTS["split"], tmp_path / "state.pt")
    assert "resumed after epoch 1, step 2" in capsys.readouterr().err


def test_an_epoch_s_seconds_are_summed_over_its_attempts(tmp_path: Path) -> None:
    interrupted(VARIANTS["split"], tmp_path / "state.pt", training, "train_step", STEPS + 2)
    record = torch.load(tmp_path / "state.pt", weights_only=True)
    assert record["state"]["current_epoch"]["seconds"] > 0
    record["state"]["current_epoch"]["seconds"] = 1000.0
    torch.save(record, tmp_path / "state.pt")
    seconds = [row["seconds"] for row in run(VARIANTS["split"], tmp_path / "state.pt").history]
    assert [value > 1000 for value in seconds] == [False, True, False]
