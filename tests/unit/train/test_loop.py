"""The training loop: divergence, held-out images, model selection and what the history measures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stages.core.artifacts import ImageSet
from stages.core.config.method import TrainSettings
from stages.core.errors import ArtifactError, DivergenceError
from stages.core.images.split import held_out_mask
from stages.core.images.subset import measured_images
from stages.train import loop
from stages.train.loop import Inputs
from stages.train.measure import Accuracy
from tests.unit.interrupting import place
from tests.unit.train.diverging import diverge_at
from tests.unit.train.small_training import (
    AT,
    IMAGES,
    M,
    companions,
    everything,
    inputs,
    numbers,
    picture_set,
    run,
    settings,
)


def unaugmented(chosen: TrainSettings) -> TrainSettings:
    return chosen.model_copy(update={"augment": chosen.augment.model_copy(update={"padding": 0, "flip": False})})


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    other = settings().model_copy(update={"seed": 1})
    assert everything(run(settings(), inputs(), tmp_path / "a")) != everything(run(other, inputs(), tmp_path / "b"))


def test_a_loss_that_is_not_finite_names_objective_epoch_and_step_and_saves_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge_at(monkeypatch, 3 + 2)
    with pytest.raises(DivergenceError, match=r"objective at is nan at epoch 2 step 2 .*lower lr"):
        run(settings(AT), inputs(), tmp_path / "state.pt")
    assert place(tmp_path / "state.pt") == (1, 0)


def test_weights_that_are_not_finite_after_an_epoch_are_never_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = loop.method_loss, 0

    def breaking(model: nn.Module, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        loss, metrics = original(model, *arguments)
        no_slope = (0 * next(model.parameters()).sum()).sqrt()  # 0, with a gradient that is not a number
        return (loss + no_slope if calls == 2 * 3 else loss), metrics

    monkeypatch.setattr(loop, "method_loss", breaking)
    with pytest.raises(DivergenceError, match="not finite after epoch 2"):
        run(settings(), inputs(), tmp_path / "state.pt")
    assert place(tmp_path / "state.pt") == (1, 0)


def test_held_out_images_are_neither_trained_on_nor_neighbors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held_out = held_out_mask(IMAGES, 1024)
    chosen = unaugmented(settings({**AT, "lsp": {"m": M}}, epochs=2, selection="best_robust"))
    given, original = inputs(companions(~held_out)), loop.method_loss
    anchors: set[int] = set()
    neighbors: set[int] = set()

    def spy(model: nn.Module, augmented: Any, hood: Any, *rest: Any) -> Any:
        anchors.update(numbers(augmented.images, given.train))
        neighbors.update(numbers(hood.images, given.train))
        return original(model, augmented, hood, *rest)

    monkeypatch.setattr(loop, "method_loss", spy)
    run(chosen, given, tmp_path / "state.pt")
    left_out = set(held_out.nonzero().squeeze(1).tolist())
    assert len(left_out) == IMAGES // 10
    assert anchors == set(range(IMAGES)) - left_out
    assert not neighbors & left_out


def test_a_structure_that_lists_held_out_images_is_refused(tmp_path: Path) -> None:
    chosen = settings({**AT, "lsp": {"m": M}}, selection="best_robust")
    everyone = companions(torch.ones(IMAGES, dtype=torch.bool))
    with pytest.raises(ArtifactError, match="held out for model selection; rebuild them with held_out: 1024"):
        run(chosen, inputs(everyone), tmp_path / "state.pt")


def test_a_helper_that_holds_out_trains_on_none_of_what_its_user_selects_on_and_keeps_its_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_out = held_out_mask(IMAGES, 1024)
    chosen = unaugmented(settings({"hold_out": True}, epochs=2, selection="best_robust", monitor=0))
    given, original = inputs(), loop.method_loss
    seen: set[int] = set()

    def spy(model: nn.Module, augmented: Any, *rest: Any) -> Any:
        seen.update(numbers(augmented.images, given.train))
        return original(model, augmented, *rest)

    monkeypatch.setattr(loop, "method_loss", spy)
    monkeypatch.setattr(loop, "_accuracy", None)  # nothing is selected
    state = run(chosen, given, tmp_path / "state.pt")
    assert seen == set((~left_out).nonzero().squeeze(1).tolist())
    assert state.best_epoch == 2
    assert all("validation_robust" not in row for row in state.history)


@pytest.mark.parametrize(
    ("scores", "validation_from", "best"),
    [([0.1, 0.5, 0.5, 0.2], 0.0, 2), ([0.9, 0.1, 0.2, 0.3], 0.5, 4), ([0.9, 0.8, 0.3, 0.2], 0.5, 3), ([0] * 4, 1.0, 4)],
)
def test_selection_keeps_the_first_epoch_that_is_best_among_the_candidates(
    scores: list[float], validation_from: float, best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[Tensor] = []
    masks: list[Tensor] = []

    def scripted(model: nn.Module, images: ImageSet, mask: Tensor, *attack: Any) -> Accuracy:
        weights.append(model.head.weight.detach().clone())  # type: ignore[union-attr, operator]
        masks.append(mask)
        return Accuracy(0.5, scores[len(weights) - 1])

    monkeypatch.setattr(loop, "_accuracy", scripted)
    chosen = settings(AT, monitor=0, selection="best_robust", validation_from=validation_from)
    state = run(chosen, inputs(), tmp_path / "state.pt")
    assert state.best_epoch == best
    assert state.best_weights is not None
    assert torch.equal(state.best_weights["head.weight"], weights[best - 1])
    assert all(torch.equal(mask, held_out_mask(IMAGES, 1024)) for mask in masks)
    assert [row["validation_robust"] for row in state.history] == scores


@pytest.mark.parametrize("method", [{}, AT])
def test_without_selection_the_last_epoch_is_kept_and_all_images_are_trained_on(
    method: dict[str, Any], tmp_path: Path
) -> None:
    chosen = settings(method, epochs=2, selection="last" if method else "best_robust")
    state = run(chosen, inputs(), tmp_path / "state.pt")
    assert state.best_epoch == 2
    assert state.best_weights is not None
    assert all(torch.equal(state.best_weights[name], value) for name, value in state.model.state_dict().items())
    assert all("validation_robust" not in row for row in state.history)


def test_every_epoch_s_lsp_loss_is_measured_for_vanilla_training(tmp_path: Path) -> None:
    watched = companions(torch.ones(IMAGES, dtype=torch.bool))
    state = run(settings(epochs=2), inputs(monitored=watched), tmp_path / "state.pt")
    assert [row["epoch"] for row in state.history] == [1, 2]
    assert all(row["lsp_loss"] > 0 for row in state.history)
    assert all("lsp_term" not in row for row in state.history)
    plain = run(settings(epochs=2), inputs(), tmp_path / "plain.pt")
    assert all(torch.equal(plain.model.state_dict()[key], value) for key, value in state.model.state_dict().items())


@pytest.mark.parametrize("subset", ["stratified", "first"])
def test_the_history_measures_the_images_that_an_attack_of_this_subset_would(
    subset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, measured = inputs(), []
    given = replace(given, test=ImageSet(given.test.images, given.test.labels.sort().values, given.test.classes))
    original = loop.measure_accuracy

    def spy(model: nn.Module, images: Tensor, *rest: Any) -> Accuracy:
        measured.append(numbers(images / 255, given.test))
        return original(model, images, *rest)

    monkeypatch.setattr(loop, "measure_accuracy", spy)
    chosen = settings(epochs=1)
    monitor = chosen.monitor.model_copy(update={"subset": subset, "test_images": 3})
    run(chosen.model_copy(update={"monitor": monitor}), given, tmp_path / "state.pt")
    wanted = measured_images(given.test.labels, 3, subset)  # type: ignore[arg-type]
    assert measured == [set(wanted.tolist())]
    assert (len(given.test.labels[wanted].unique()) == 3) == (subset == "stratified")


def test_too_few_images_for_a_batch_are_refused(tmp_path: Path) -> None:
    lone = picture_set(1, 0)
    with pytest.raises(ArtifactError, match="make no batch"):
        run(settings(), Inputs(lone, lone, None, None, None), tmp_path / "state.pt")


def test_epsilon_and_step_grow_linearly_over_the_ramp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, threats, searches = loop.method_loss, [], []

    def spy(*arguments: Any) -> Any:
        threats.append(arguments[-1].threat)
        searches.append(arguments[-1].search)
        return original(*arguments)

    monkeypatch.setattr(loop, "method_loss", spy)
    ramp = {"epsilon": 0.1, "step_size": 0.05, "steps": 1, "ramp_epochs": 2}
    run(settings(AT, monitor=0, epochs=3, attack=ramp), inputs(), tmp_path / "state.pt")
    assert [threat.epsilon for threat in threats[::3]] == pytest.approx([0.05, 0.1, 0.1])
    assert [search.step_size for search in searches[::3]] == pytest.approx([0.025, 0.05, 0.05])


def test_the_history_s_loss_is_the_mean_over_images_and_its_lr_the_epoch_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = loop.method_loss, []

    def spy(*arguments: Any) -> Any:
        loss, metrics = original(*arguments)
        seen.append((float(loss.detach()), len(arguments[1].images)))
        return loss, metrics

    monkeypatch.setattr(loop, "method_loss", spy)
    state = run(settings(epochs=3, schedule={"milestones": [1, 2]}), inputs(), tmp_path / "state.pt")
    per_epoch = [seen[start : start + 3] for start in (0, 3, 6)]
    means = [sum(loss * size for loss, size in epoch) / IMAGES for epoch in per_epoch]
    assert [row["loss"] for row in state.history] == pytest.approx(means, rel=1e-5)
    assert [row["lr"] for row in state.history] == pytest.approx([0.05, 0.005, 0.0005])
