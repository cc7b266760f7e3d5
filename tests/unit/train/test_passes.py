"""Passes of a step and of an attack, by the formulas of the methods."""

from typing import Any

import pytest

from stages.attack.passes import of_attack
from stages.core.config.attacks import Attack
from stages.core.config.method import TrainSettings
from stages.train.passes import of_step

STEPS = 4


def settings(method: dict[str, Any]) -> TrainSettings:
    recipe = {"attack": {"steps": STEPS}, "precision": "bfloat16"}
    return TrainSettings.model_validate(
        {"method": method, "recipe": recipe, "model": {}, "augment": {"padding": 4}, "monitor": {}}
    )


@pytest.mark.parametrize(
    ("method", "passes"),
    [
        ({}, (0, 0, 1)),
        ({"augmentation": "augmix"}, (0, 0, 3)),
        ({"lsp": {"m": 8}}, (0, 0, 9)),
        ({"lsp": {"m": 3, "batches": "neighborhoods"}}, (0, 0, 4)),
        ({"objective": "at"}, (0, STEPS, 1)),
        ({"objective": "at", "lsp": {"m": 5}}, (0, STEPS, 6)),
        ({"objective": "trades"}, (1, STEPS, 2)),
        ({"objective": "mart"}, (0, STEPS, 2)),
        ({"objective": "hat"}, (2, STEPS, 3)),
        ({"objective": "gradient-norm"}, (0, 1, 2)),
        ({"objective": "manifold"}, (0, 0, 3)),
    ],
)
def test_a_step(method: dict[str, Any], passes: tuple[float, ...]) -> None:
    assert tuple(of_step(settings(method)).values()) == passes


@pytest.mark.parametrize(
    ("attack", "search"),
    [
        ({"kind": "clean"}, 0),
        ({"kind": "fgsm", "epsilon": 0.1}, 1),
        ({"kind": "pgd", "epsilon": 0.1, "options": {"steps": 7, "step_size": 0.02}}, 7),
        ({"kind": "pgd", "epsilon": 0.1, "options": {"steps": 7, "step_size": 0.02, "restarts": 3}}, 21),
    ],
)
def test_an_attack(attack: dict[str, Any], search: int) -> None:
    found = of_attack(Attack.model_validate(attack))
    assert found["search"] == search
    assert found["train"] == 0
    assert found["forward"] >= 1
