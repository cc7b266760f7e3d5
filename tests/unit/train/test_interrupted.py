"""A run that is interrupted, by a signal or by its process's end, and resumed equals one that is not."""

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.core.config.method import TrainSettings
from stages.core.errors import DivergenceError
from stages.core.job import epochs
from stages.core.job.interrupt import Interrupted, interruptible
from stages.train import loop, measure
from stages.train import state as state_module
from stages.train.state import TrainState
from stages.train.training_set import TrainingSet
from tests.unit.interrupting import EndOfProcess, end_at, interrupted_at, place, plain, saved, signal_at, signal_at_line
from tests.unit.train.diverging import diverge_at
from tests.unit.train.small_training import (
    AT,
    EPOCHS,
    IMAGES,
    RUNS,
    STEPS,
    everything,
    given,
    inputs,
    run,
    settings,
)

# Where the signal comes: as this call of this function ends; and the (epoch, step) saved, where it is every run's.
MOMENTS: dict[str, tuple[Any, str, int, tuple[int, int] | None]] = {
    "the first step": (loop, "method_loss", 1, (0, 1)),
    "the last step of an epoch": (loop, "method_loss", STEPS, (0, STEPS)),
    "the first step of an epoch": (loop, "method_loss", STEPS + 1, (1, 1)),
    "the last step": (loop, "method_loss", EPOCHS * STEPS, (EPOCHS - 1, STEPS)),
    "drawing an order": (TrainingSet, "order", 3, (2, 0)),
    "drawing a batch": (TrainingSet, "batch", STEPS + 2, (1, 2)),
    "the optimizer": (torch.optim.SGD, "step", 2 * STEPS + 2, (2, 2)),
    "in the measurements": (loop, "_measure", 2, (1, STEPS)),
    "in a measurement: attack": (measure, "perturb", 3, None),
    "the last measurement of an epoch": (loop, "_accuracy", 4, None),
    "the end of an epoch": (TrainState, "finish", 2, (2, 0)),
    "selecting": (loop, "_select", 2, (2, 0)),
    "saving": (epochs, "save_state", 2, (2, 0)),
    "after saving": (epochs, "said", 1, (1, 0)),
    "the end of the last epoch": (epochs, "said", EPOCHS, (EPOCHS, 0)),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each run results in that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    return {name: everything(run(chosen, given(chosen), folder / name)) for name, chosen in RUNS.items()}


def interrupted(chosen: TrainSettings, resume: Path, owner: Any, name: str, call: int) -> None:
    """A run that ends with Interrupted, because SIGTERM came in this call."""
    with interrupted_at(owner, name, call):
        run(chosen, given(chosen), resume)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", RUNS)
def test_interrupted_at_any_moment_and_resumed_equals_uninterrupted_bit_for_bit(
    name: str, moment: str, tmp_path: Path, whole: dict[str, Any]
) -> None:
    owner, function, call, expected = MOMENTS[moment]
    interrupted(RUNS[name], tmp_path / "state.pt", owner, function, call)
    assert expected in (None, place(tmp_path / "state.pt"))
    torch.manual_seed(12345)  # the global stream is nobody's business
    assert everything(run(RUNS[name], given(RUNS[name]), tmp_path / "state.pt")) == whole[name]


@pytest.mark.slow
def test_interrupted_before_any_line_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    """Each line of the loop and of the state, at the last time that it runs."""
    chosen = settings(AT, epochs=2, batch_size=IMAGES, monitor=1, selection="best_robust")
    modules = (loop, state_module, epochs)
    with signal_at_line(0, *modules) as lines:
        expected = everything(run(chosen, inputs(), tmp_path / "whole.pt"))
    restored = 0
    for line, number in {line: number for number, line in enumerate(lines, start=1)}.items():
        path = tmp_path / f"{number}.pt"
        with interruptible(), contextlib.suppress(Interrupted), signal_at_line(number, *modules):
            run(chosen, inputs(), path)
        restored += path.exists()
        assert everything(run(chosen, inputs(), path)) == expected, f"interrupted before {line}"
    assert restored > 50


@pytest.mark.parametrize(
    ("owner", "function"),
    [(TrainingSet, "batch"), (loop, "method_loss"), (torch.optim.SGD, "step"), (loop.Epoch, "record")],
)
def test_a_signal_anywhere_in_a_step_waits_for_its_end(
    owner: Any, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is saved equals what an uninterrupted run holds as its next step begins."""
    chosen = RUNS["lsp+, onecycle, best_robust"]
    begins: list[dict[str, Any]] = []
    with monkeypatch.context() as patch:
        step = loop._step

        def watched(state: TrainState, *rest: Any) -> None:
            state.save(tmp_path / "begin.pt", "any")
            begins.append(saved(tmp_path / "begin.pt"))
            step(state, *rest)

        patch.setattr(loop, "_step", watched)
        run(chosen, given(chosen), tmp_path / "whole.pt")
    interrupted(chosen, tmp_path / "state.pt", owner, function, STEPS + 2)
    assert plain(saved(tmp_path / "state.pt")) == plain(begins[STEPS + 2])


@pytest.mark.parametrize(("every", "expected"), [(0.0, (2, 1)), (300.0, (2, 0))])
def test_a_killed_process_loses_no_more_than_the_time_between_saves(
    every: float,
    expected: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: dict[str, Any],
) -> None:
    name = "lsp+, onecycle, best_robust"
    with monkeypatch.context() as patch:
        patch.setattr(epochs, "saving", partial(epochs.saving, every=every))
        end_at(patch, loop, "method_loss", 2 * STEPS + 2)
        with pytest.raises(EndOfProcess):
            run(RUNS[name], given(RUNS[name]), tmp_path / "state.pt")
    assert place(tmp_path / "state.pt") == expected
    assert everything(run(RUNS[name], given(RUNS[name]), tmp_path / "state.pt")) == whole[name]


def test_a_step_that_diverges_is_not_saved_even_if_a_signal_came_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge_at(monkeypatch, STEPS + 2)
    signal_at(monkeypatch, loop, "method_loss", STEPS + 2)
    with interruptible(), pytest.raises(DivergenceError):
        run(settings(), inputs(), tmp_path / "state.pt")
    assert place(tmp_path / "state.pt") == (1, 0)


def test_an_interruption_says_where_it_came_and_the_next_attempt_where_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(settings(), tmp_path / "state.pt", loop, "method_loss", STEPS + 2)
    assert "interrupted by SIGTERM after epoch 1, step 2 of 3: state saved in" in capsys.readouterr().err
    run(settings(), inputs(), tmp_path / "state.pt")
    assert "resumed after epoch 1, step 2" in capsys.readouterr().err


def test_an_epoch_s_seconds_are_summed_over_its_attempts(tmp_path: Path) -> None:
    interrupted(settings(), tmp_path / "state.pt", loop, "method_loss", STEPS + 2)
    record = torch.load(tmp_path / "state.pt", weights_only=True)
    assert record["state"]["current_epoch"]["seconds"] > 0
    record["state"]["current_epoch"]["seconds"] = 1000.0
    torch.save(record, tmp_path / "state.pt")
    seconds = [row["seconds"] for row in run(settings(), inputs(), tmp_path / "state.pt").history]
    assert [value > 1000 for value in seconds] == [False, True, False, False]
