"""What is odd and allowed is said in a line each; of what the project ships nothing is."""

import re
from pathlib import Path

import pytest

from tests.conftest import EXPERIMENTS, ROOT
from workflow.planning.checks import remarks
from workflow.planning.load import load_experiment

ODD = {
    "across": (
        "attacks: {pgd: {kind: pgd, epsilon: 0.1, options: {step_size: 0.3}}}",
        ["attacks.pgd.options.step_size: 0.3 is more than twice epsilon, 0.1; every step crosses the whole ball"],
    ),
    "short": (
        "attacks: {pgd: {kind: pgd, norm: l2, epsilon: 0.5, options: {steps: 4, step_size: 0.1}}}",
        ["attacks.pgd.options: 4 steps of 0.1 lead no further than 0.4, and epsilon is 0.5; raise"],
    ),
    "short by default": (
        "attacks: {mine: {kind: pgd, norm: l2, epsilon: 0.5}}",
        ["attacks.mine.options: 10 steps of 0.007843 lead no further than 0.07843, and epsilon is 0.5"],
    ),
    "short in training": (
        "recipes: {standard: {attack: {epsilon: 8/255, step_size: 1/255, steps: 7}}}",
        ["recipes.standard.attack: 7 steps of 0.003922 lead no further than 0.02745, and epsilon is 0.03137"],
    ),
    "half across": ("attacks: {mine: {kind: pgd, epsilon: 0.1, options: {step_size: 0.2}}}", []),
    "just across": ("attacks: {pgd: {kind: pgd, epsilon: 0.3, options: {steps: 3, step_size: 0.1}}}", []),
    "another augmentation": (
        "recipes: {gentle: {epochs: 1, schedule: {kind: constant}}}\n"
        "datasets: {digits: {recipe_augments: {adversarial: {padding: 0}}}}\n"
        "methods: {slow-at: {preset: at, recipe: gentle}}\n"
        "tables: {mine: {datasets: [digits], methods: [at, slow-at, vanilla], attacks: [clean]}}",
        [
            "datasets.digits.recipe_augments: holds adversarial and not gentle, by which tables.mine trains slow-at;"
            " it takes the data set's `augment`"
        ],
    ),
    "the same augmentation": (
        "recipes: {gentle: {epochs: 1, schedule: {kind: constant}}}\n"
        "datasets: {digits: {recipe_augments: {adversarial: {padding: 0}, gentle: {padding: 0}}}}\n"
        "methods: {slow-at: {preset: at, recipe: gentle}}\n"
        "tables: {mine: {datasets: [digits], methods: [at, slow-at], attacks: [clean]}}",
        [],
    ),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_is_said_with_its_key(odd: str, tmp_path: Path) -> None:
    text, expected = ODD[odd]
    (tmp_path / "odd.yaml").write_text(text)
    said = remarks(load_experiment([tmp_path / "odd.yaml"], ROOT / "config.yaml"))
    assert len(said) == len(expected)
    assert all(re.match(re.escape(start), line) for start, line in zip(expected, said, strict=True))


@pytest.mark.parametrize("file", sorted(path.stem for path in EXPERIMENTS.glob("*.yaml")))
def test_nothing_that_is_shipped_is_odd(file: str) -> None:
    files = [EXPERIMENTS / f"{name}.yaml" for name in (["paper", file] if file == "honest-columns" else [file])]
    assert remarks(load_experiment(files, ROOT / "config.yaml")) == []


def test_the_demonstration_is_not_odd() -> None:
    assert remarks(load_experiment([], ROOT / "config.yaml")) == []
