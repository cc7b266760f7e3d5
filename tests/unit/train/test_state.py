"""The saved state: taken up by its own run alone, and never from a damaged file."""

from pathlib import Path

import pytest
import torch
from torch import nn

from stages.core.config.recipe import Recipe
from stages.train.schedule import build_optimizer, build_schedule
from stages.train.state import Epoch, TrainState
from stages.train.streams import RandomStreams

KEY = "this run"


def fresh_state(seed: int = 0) -> TrainState:
    model = nn.Linear(20, 3)
    nn.init.constant_(model.weight, seed)
    optimizer = build_optimizer(model, Recipe())
    schedule, _ = build_schedule(optimizer, Recipe(), 3)
    return TrainState(model, optimizer, schedule, RandomStreams.seeded(seed, torch.device("cpu")))


def save(path: Path) -> bytes:
    state = fresh_state(1)
    state.model(torch.ones(2, 20)).sum().backward()
    state.optimizer.step()
    state.epoch, state.history = 2, [{"epoch": 1.0}, {"epoch": 2.0}]
    state.current_epoch = Epoch(torch.tensor([2, 0, 1]), 3, lr=0.25, seconds=1.5)
    for step, loss in enumerate((3.0, 5.0), start=1):
        state.current_epoch.record({"loss": torch.tensor(loss)})
        state.current_epoch.sizes.append(2)
        state.current_epoch.step = step
    state.keep_best(0.5)
    state.save(path, KEY)
    return path.read_bytes()


def test_a_state_comes_back_whole(tmp_path: Path) -> None:
    save(tmp_path / "state.pt")
    state = fresh_state()
    assert state.restore(tmp_path / "state.pt", KEY)
    assert (state.epoch, state.best_epoch, state.best_score) == (2, 2, 0.5)
    assert state.history == [{"epoch": 1.0}, {"epoch": 2.0}]
    assert state.current_epoch is not None
    assert state.current_epoch.order.tolist() == [2, 0, 1]
    assert (
        state.current_epoch.lr,
        state.current_epoch.step,
        state.current_epoch.sizes,
        state.current_epoch.metrics["loss"].tolist(),
        state.current_epoch.seconds,
    ) == (0.25, 2, [2, 2], [3.0, 5.0, 0.0], 1.5)
    assert state.best_weights is not None
    assert torch.equal(state.best_weights["weight"], state.model.state_dict()["weight"])
    assert len(state.optimizer.state) == 2


def test_an_epoch_s_metrics_are_means_over_images() -> None:
    epoch = Epoch(torch.arange(5), 2, lr=0.1, sizes=[4, 1])
    epoch.record({"loss": torch.tensor(1.0), "accuracy": torch.tensor(0.5)})
    epoch.step = 1
    epoch.record({"loss": torch.tensor(6.0), "accuracy": torch.tensor(1.0)})
    assert epoch.means() == pytest.approx({"loss": (4 * 1.0 + 6.0) / 5, "accuracy": (4 * 0.5 + 1.0) / 5})


def test_a_state_of_another_run_is_left_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "state.pt")
    assert not fresh_state().restore(tmp_path / "state.pt", "another run")
    assert "other settings, inputs or code; starting over" in capsys.readouterr().err
    assert not fresh_state().restore(tmp_path / "absent.pt", KEY)


def test_a_damaged_or_foreign_file_starts_over_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "state.pt"
    good = save(path)
    faults = {"text": b"not a state", "nothing": b""}
    weights = torch.load(path, weights_only=True)["state"]["model"]["weight"].numpy().tobytes()
    torn = bytearray(good)
    torn[good.index(weights) + 7] ^= 0x01
    faults["one bit of the weights"] = bytes(torn)
    faults |= {f"cut at {share}": good[: int(len(good) * share)] for share in (0.3, 0.9, 0.999)}
    for name, value in (("a tensor", torch.zeros(3)), ("another record", {"weights": 1})):
        torch.save(value, path)
        faults[name] = path.read_bytes()
    for fault, content in faults.items():
        path.write_bytes(content)
        state = fresh_state()
        assert not state.restore(path, KEY), fault
        assert (state.epoch, state.current_epoch, state.history) == (0, None, [])
        assert float(state.model.state_dict()["weight"].sum()) == 0.0
        assert "starting over" in capsys.readouterr().err
