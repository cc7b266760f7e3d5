"""The LSP loss while training (Figure 3 as the paper has it): what it measures, and that training never feels it."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stages.core.config.data import Augment
from stages.core.config.method import TrainSettings
from stages.core.images.augment import crop_flip
from stages.core.images.pixels import to_unit
from stages.train import loop
from stages.train.lsp import lsp_term
from stages.train.measure import measure_training_lsp_loss, measuring_steps
from tests.unit.train.small_training import (
    AT,
    IMAGES,
    STEPS,
    M,
    companions,
    everything,
    fresh_net,
    inputs,
    run,
    settings,
    watched,
)

EVERYONE = companions(torch.ones(IMAGES, dtype=torch.bool))


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 391])
@pytest.mark.parametrize("batches", [0, 1, 3, 10, 1000])
def test_the_batches_are_as_many_as_asked_and_spread_evenly_over_the_epoch(batches: int, steps: int) -> None:
    chosen = sorted(measuring_steps(batches, steps))
    assert len(chosen) == min(batches, steps)
    assert all(0 <= step < steps for step in chosen)
    share = steps / max(1, len(chosen))
    assert all(number * share - 1 < step < (number + 1) * share for number, step in enumerate(chosen))


METHODS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "vanilla": ({}, {}),
    "mixup": ({"augmentation": "mixup"}, {}),
    "at, best_robust": (AT, {"selection": "best_robust", "schedule": {"kind": "onecycle"}}),
}


@pytest.mark.parametrize("method", METHODS)
def test_training_is_the_same_to_the_bit_watched_or_not(method: str, tmp_path: Path) -> None:
    plain = settings(METHODS[method][0], **METHODS[method][1])
    runs = []
    for batches in (0, 2):
        state = run(watched(plain, batches), inputs(monitored=EVERYONE), tmp_path / f"{batches}.pt")
        losses = [row.pop("lsp_training_loss", None) for row in state.history]
        assert all((loss is None) == (batches == 0) for loss in losses)
        runs.append(everything(state))
    assert runs[0] == runs[1]


def test_the_loss_is_eq_4_of_the_augmented_batch_under_its_own_statistics_and_leaves_the_net_as_it_was() -> None:
    model, images = fresh_net().train(), inputs().train.images
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.fill_(3.0)  # of no use here
    before = copy.deepcopy(model.state_dict())
    anchors, augment = torch.tensor([5, 0, 17, 30]), Augment(padding=1, flip=True)
    found = measure_training_lsp_loss(model, images, anchors, EVERYONE, augment, 11)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(norm.track_running_stats for norm in model.modules() if isinstance(norm, nn.BatchNorm2d))
    assert all(parameter.grad is None for parameter in model.parameters())

    shown = torch.cat([images[anchors], images[EVERYONE.companions[anchors].flatten()]])
    shown = crop_flip(to_unit(shown), torch.Generator().manual_seed(11), padding=1, flip=True)
    with torch.no_grad():
        logits = copy.deepcopy(model)(shown)
    around = logits[4:].unflatten(0, (4, M))
    assert found == float(lsp_term(logits[:4], around, EVERYONE.vectors[anchors]))
    assert found != measure_training_lsp_loss(model, images, anchors, EVERYONE, augment, 12)


def test_the_history_has_the_mean_over_the_watched_batches_each_measured_before_its_own_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Any] = []
    trained, measured = loop.method_loss, loop.measure_training_lsp_loss

    def spy_step(model: nn.Module, augmented: Any, *rest: Any) -> Any:
        events.append(len(augmented.images))
        return trained(model, augmented, *rest)

    def spy_watch(model: nn.Module, images: Any, anchors: Any, *rest: Any) -> Tensor:
        loss = measured(model, images, anchors, *rest)
        events.append((set(anchors.tolist()), loss))
        return loss

    monkeypatch.setattr(loop, "method_loss", spy_step)
    monkeypatch.setattr(loop, "measure_training_lsp_loss", spy_watch)
    chosen: TrainSettings = watched(settings(epochs=2), 2)
    state = run(chosen, inputs(monitored=EVERYONE), tmp_path / "state.pt")
    assert sorted(measuring_steps(2, STEPS)) == [0, 2]
    pattern = [isinstance(event, tuple) for event in events]
    assert pattern == [True, False, False, True, False] * 2
    losses = [event for event in events if isinstance(event, tuple)]
    for epoch, row in enumerate(state.history):
        first, second = losses[2 * epoch : 2 * epoch + 2]
        assert row["lsp_training_loss"] == (first[1] + second[1]) / 2
        assert not first[0] & second[0], "other images in each of an epoch's batches"
    assert len({loss for _, loss in losses}) == len(losses)
