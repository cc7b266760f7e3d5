"""Settings and components: numbers as people write them, bounds, and an unknown word answered by its nearest."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from stages.core.config.attacks import AttackSettings
from stages.core.config.messages import validation_message
from stages.core.config.method import Method, TrainSettings
from stages.core.config.moco import Moco
from stages.core.config.recipe import Recipe
from workflow.planning.experiment import Experiment, merge


def fault(model: type[BaseModel], raw: Any) -> str:
    """The one line that a wrong section earns."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(raw)
    line = validation_message(caught.value, model)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1e-1", 0.1), ("8/255", 8 / 255), (" 8 / 255 ", 8 / 255), ("5E-4", 5e-4), (".5", 0.5), (3, 3.0), (0.25, 0.25)],
)
def test_numbers_may_be_decimals_powers_or_fractions(written: Any, meant: float) -> None:
    assert Recipe(lr=written).lr == meant
    chosen = Method.model_validate({"objective": {"name": "trades", "beta": written}})
    assert chosen.objective.settings == {"beta": meant}


@pytest.mark.parametrize(
    "written",
    ["1/0", "", "fast", "1e400", "nan", "inf", True, None, [1], float("nan"), "0.1.2", "1/2/3", "1/-2", "1/", "/2"],
)
def test_what_is_no_finite_number_is_refused_by_name(written: Any) -> None:
    assert fault(Recipe, {"lr": written}).startswith("lr: ")
    assert fault(Method, {"objective": {"name": "trades", "beta": written}}).startswith("objective.beta: ")


@pytest.mark.parametrize(("written", "meant"), [("1e3", 1000), (10.0, 10), ("4/2", 2), (7, 7)])
def test_whole_numbers_may_be_written_as_any_number_that_is_whole(written: Any, meant: int) -> None:
    images = Recipe(validation_images=written).validation_images
    assert (images, type(images)) == (meant, int)
    assert "whole number" in fault(Recipe, {"validation_images": "1/2"})


@pytest.mark.parametrize(
    ("model", "raw", "path"),
    [
        (Recipe, {"epochs": 0}, "epochs"),
        (Recipe, {"lr": 0}, "lr"),
        (Recipe, {"batch_size": 1}, "batch_size"),
        (Recipe, {"momentum": "3/2"}, "momentum"),
        (Recipe, {"attack": {"epsilon": -0.1}}, "attack.epsilon"),
        (Recipe, {"schedule": {"kind": "step"}}, "schedule.kind"),
        (Recipe, {"schedule": {"milestones": [3, 0]}}, "schedule.milestones.1"),
        (Method, {"lsp": {"m": 1}}, "lsp.m"),
        (Method, {"lsp": {"discrepancy": "emd"}}, "lsp.discrepancy"),
        (Moco, {"head_layers": 3}, "head_layers"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_path_and_value(model: type[BaseModel], raw: Any, path: str) -> None:
    line = fault(model, raw)
    assert line.startswith(f"{path}: ")
    assert "given: " in line


EXPERIMENT = {
    "experiment": "x",
    "datasets": {"digits": {"data": {"source": "digits"}}},
    "recipes": {"standard": {}},
    "attacks": {"pgd": {"kind": "pgd"}},
    "tables": {"one": {"datasets": ["digits"], "methods": ["lsp"], "attacks": ["pgd"]}},
}


@pytest.mark.parametrize(
    ("model", "raw", "line"),
    [
        (Recipe, {"epohcs": 1}, "epohcs: unknown key (did you mean 'epochs'?)"),
        (Recipe, {"attack": {"stpes": 1}}, "attack.stpes: unknown key (did you mean 'steps'?)"),
        (Method, {"lsp": {"wieght": 1}}, "lsp.wieght: unknown key (did you mean 'weight'?)"),
        (TrainSettings, {"method": {"lsp": {"wieght": 1}}}, "(did you mean 'weight'?)"),
        (
            AttackSettings,
            {"attacks": {"pgd": {"kind": "pgd", "epsilom": 1}}},
            "attacks.pgd.epsilom: unknown key (did you mean 'epsilon'?)",
        ),
        (
            Experiment,
            merge(EXPERIMENT, {"datasets": {"digits": {"data": {"sourec": 1}}}}),
            "datasets.digits.data.sourec: unknown key (did you mean 'source'?)",
        ),
        (
            Experiment,
            merge(EXPERIMENT, {"datasets": {"digits": {"features": {"moco": {"quue": 1}}}}}),
            "datasets.digits.features.moco.quue: unknown key (did you mean 'queue'?)",
        ),
        (
            Experiment,
            merge(EXPERIMENT, {"recipes": {"standard": {"momentun": 1}}}),
            "recipes.standard.momentun: unknown key (did you mean 'momentum'?)",
        ),
        (Experiment, {**EXPERIMENT, "sedes": [0]}, "sedes: unknown key (did you mean 'seeds'?)"),
    ],
)
def test_an_unknown_key_is_answered_by_the_nearest_known_one(model: type[BaseModel], raw: Any, line: str) -> None:
    raw = {"recipe": {}, "model": {}, "augment": {}, "monitor": {}, **raw} if model is TrainSettings else raw
    assert fault(model, raw).endswith(line)


def test_sections_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("augmentation", ["mixup", "cutmix"])
def test_an_anchor_of_two_images_has_no_lsp_term(augmentation: str) -> None:
    assert "has no neighbors" in fault(Method, {"lsp": {}, "augmentation": augmentation})


def test_images_are_held_out_only_where_an_adversarial_objective_selects() -> None:
    best, last = Recipe(selection="best_robust", validation_images=100), Recipe(validation_images=100)
    vanilla, trades = Method(), Method.model_validate({"objective": "trades"})
    assert [chosen.held_out(recipe) for chosen in (vanilla, trades) for recipe in (best, last)] == [0, 0, 100, 0]
    helper = Method(hold_out=True)
    assert [helper.held_out(recipe) for recipe in (best, last)] == [100, 0]
    assert not helper.selects(best)
    assert "hold_out: objective trades leaves out what it selects on" in fault(
        Method, {"objective": "trades", "hold_out": True}
    )


def test_a_seed_is_for_what_is_drawn_and_refused_where_nothing_is() -> None:
    def choice(kind: str, seed: int) -> Any:
        lsp = Method.model_validate({"lsp": {"kind": kind, "seed": seed, "weight": seed + 1}}).lsp
        assert lsp is not None
        return lsp.structure(5)

    assert choice("global", 1) != choice("global", 2)
    assert choice("local", 0).held_out == 5
    assert fault(Method, {"lsp": {"seed": 1}}).startswith("lsp.seed: kind local")
    assert fault(Method, {"lsp": {"kind": "local", "vector": "uniform", "seed": 1}}).startswith("lsp.seed: ")
    assert Method.model_validate({"lsp": {"vector": "permuted", "seed": 1}}).lsp is not None
