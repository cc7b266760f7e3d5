"""Learning-rate schedules at given epochs and steps, against closed forms."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from stages.core.config.recipe import Recipe
from stages.core.errors import ConfigError
from stages.train.schedule import build_optimizer, build_schedule


def run(recipe: Recipe, steps_per_epoch: int = 1) -> list[list[tuple[float, float]]]:
    """(learning rate, momentum) that each step of each epoch is taken with."""
    optimizer = build_optimizer(nn.Linear(1, 1), recipe)
    schedule, per_batch = build_schedule(optimizer, recipe, steps_per_epoch)
    epochs = []
    for _ in range(recipe.epochs):
        epoch = []
        for _ in range(steps_per_epoch):
            epoch.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
            optimizer.step()
            if per_batch:
                schedule.step()
        if not per_batch:
            schedule.step()
        epochs.append(epoch)
    return epochs


def recipe(kind: str, epochs: int, lr: float, **schedule: Any) -> Recipe:
    return Recipe.model_validate({"epochs": epochs, "lr": lr, "schedule": {"kind": kind, **schedule}})


def test_multistep_divides_after_the_epochs_it_names() -> None:
    rates = [epoch[0][0] for epoch in run(recipe("multistep", 100, 0.1, milestones=[75, 90]))]
    expected = [0.1] * 75 + [0.01] * 15 + [0.001] * 10
    assert rates == pytest.approx(expected)


def test_cosine_is_its_closed_form_and_holds_within_an_epoch() -> None:
    epochs = run(recipe("cosine", 20, 0.06), steps_per_epoch=3)
    for number, epoch in enumerate(epochs):
        assert epoch[0] == epoch[-1]
        assert epoch[0][0] == pytest.approx(0.03 * (1 + math.cos(math.pi * number / 20)))


def test_constant_stays() -> None:
    assert {step for epoch in run(recipe("constant", 7, 0.3), 2) for step in epoch} == {(0.3, 0.9)}


def test_onecycle_rises_for_a_quarter_and_falls_to_nearly_nothing_and_momentum_goes_against_it() -> None:
    steps = [step for epoch in run(recipe("onecycle", 50, 0.21), 8) for step in epoch]
    rates, momenta = zip(*steps, strict=True)
    top = 400 // 4 - 1
    assert rates[0] == pytest.approx(0.21 / 25)
    assert max(rates) == rates[top] == pytest.approx(0.21)
    assert rates[-1] == pytest.approx(0.21 / 25 / 1e4)
    assert [momenta[0], momenta[top], momenta[-1]] == pytest.approx([0.95, 0.85, 0.95])
    halfway = top + (399 - top) / 2
    assert (rates[math.floor(halfway)] + rates[math.ceil(halfway)]) / 2 == pytest.approx(0.21 / 2, rel=1e-4)
    assert all(later >= earlier for earlier, later in pairwise(rates[: top + 1]))
    assert all(later <= earlier for earlier, later in pairwise(rates[top:]))


@pytest.mark.parametrize(("epochs", "steps", "pct_start"), [(2, 2, 0.25), (1, 2, 0.5)])
def test_onecycle_without_a_step_to_rise_in_is_refused(epochs: int, steps: int, pct_start: float) -> None:
    with pytest.raises(ConfigError, match="pct_start"):
        run(recipe("onecycle", epochs, 0.1, pct_start=pct_start), steps)


def test_the_optimizer_takes_what_the_recipe_says_for_every_parameter() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    chosen = Recipe(lr=0.2, momentum=0.8, nesterov=True, weight_decay=5e-4)
    (group,) = build_optimizer(model, chosen).param_groups
    assert [group[key] for key in ("lr", "momentum", "nesterov", "weight_decay")] == [0.2, 0.8, True, 5e-4]
    assert {id(parameter) for parameter in group["params"]} == {id(parameter) for parameter in model.parameters()}


def test_one_step_of_sgd_is_the_formula() -> None:
    model = nn.Linear(2, 1, bias=False)
    weight = model.weight.detach().clone()
    optimizer = build_optimizer(model, Recipe(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01))
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    gradient = 1 + 0.01 * weight
    torch.testing.assert_close(model.weight.detach(), weight - 0.1 * (gradient + 0.9 * gradient))
