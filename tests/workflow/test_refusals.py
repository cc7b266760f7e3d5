"""A law: what a stage refuses (ConfigError) without having read data is refused by the plan too."""

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

from stages.core.errors import ConfigError
from tests.conftest import ROOT, TINY
from tests.workflow.test_config_errors import FAULTS
from tests.workflow.test_wrong_overlays import ALL
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan


class Refusal(NamedTuple):
    """What a stage's refusal waits for, and overlays that the plan refuses where it knows as much."""

    needs: str
    planned: tuple[str, ...] = ()


HAND = "arguments of a stage that is run by hand; the workflow's rules give them"
OUTPUTS, TENSORS = "what a net from elsewhere returns", "what a file from elsewhere holds"
REFUSALS = {
    "stages/attack/library.py require_targets": Refusal("the classes, which the model tells"),
    "stages/core/models/__init__.py Classifier.__init__": Refusal("a checkpoint's header"),
    "stages/core/job/stage.py load_settings": Refusal(
        "",
        (
            *("unknown-key", "splits", "parquet-without-folder", "unknown-objective", "alpha-0", "probability-2"),
            *("steps-0", "fgsm-l2", "restarts", "unknown-option", "compiled-twice"),
        ),
    ),
    "stages/data/__main__.py main": Refusal(HAND),
    "stages/data/decode.py decode": Refusal("the images' sizes"),
    "stages/data/decode.py require": Refusal("the number of images", ("batch-beyond", "moco-batch", "m-beyond-images")),
    "stages/data/paths.py expand": Refusal("the environment; tables are made without the variables that name folders"),
    "stages/data/pixels.py stack": Refusal("the images' sizes"),
    "stages/data/sources/parquet.py _table": Refusal("the files' columns"),
    "stages/core/models/architectures/__init__.py _own_code": Refusal("code of the user's, which a plan does not run"),
    "stages/core/models/architectures/__init__.py _timm": Refusal("timm's names"),
    "stages/core/models/architectures/__init__.py _torchvision": Refusal("torchvision's names"),
    "stages/core/models/architectures/__init__.py build": Refusal("torchvision's names"),
    "stages/attack/certificate/__main__.py _other": Refusal(HAND),
    "stages/pictures/__main__.py _named": Refusal(HAND),
    "stages/weights/checks.py _require_order": Refusal(OUTPUTS),
    "stages/weights/checks.py _require_repeatable": Refusal(OUTPUTS),
    "stages/weights/checks.py check_outputs": Refusal(OUTPUTS),
    "stages/weights/checks.py choose": Refusal(OUTPUTS),
    "stages/weights/checks.py _best": Refusal(OUTPUTS),
    "stages/weights/checks.py _called": Refusal(OUTPUTS),
    "stages/weights/checks.py _require_above_chance": Refusal(OUTPUTS),
    "stages/weights/__main__.py own": Refusal(TENSORS),
    "stages/weights/export.py main": Refusal(HAND),
    "stages/weights/matching.py _candidates": Refusal("torchvision's names"),
    "stages/weights/matching.py _require_classes": Refusal(TENSORS),
    "stages/weights/matching.py recognize": Refusal(TENSORS),
    "stages/weights/reading.py _usual": Refusal(TENSORS),
    "stages/weights/reading.py read_state": Refusal(TENSORS),
    "stages/core/models/compiling.py Compiled.forward": Refusal("the machine's compiler, and a model that is not ours"),
    "stages/core/models/folding.py SearchCopy.__init__": Refusal("the code of a model that is not ours"),
    "stages/data/sources/parquet.py _detect_image": Refusal("the files' columns"),
    "stages/data/sources/parquet.py _detect_label": Refusal("the files' columns"),
    "stages/data/subset.py proportional_rows": Refusal("the number of images", ("images-beyond",)),
    "stages/features/__main__.py run_pretrain": Refusal(HAND),
    "stages/features/pretrain.py check": Refusal("the number of images", ("moco-batch",)),
    "stages/features/source.py encoder_file": Refusal(HAND),
    "stages/structure/companions.py companions": Refusal("the lists' depth", ("m-beyond-depth", "monitor-m")),
    "stages/structure/companions.py first_allowed": Refusal("which neighbors are held out"),
    "stages/structure/companions.py random_others": Refusal("the number of images", ("m-beyond-images",)),
    "stages/train/__main__.py read_inputs": Refusal(HAND, ("no-helper",)),
    "stages/train/compose.py method_loss": Refusal("what an objective returns"),
    "stages/train/objectives/hat.py hat": Refusal(HAND, ("no-helper",)),
    "stages/train/schedule.py build_schedule": Refusal("the number of steps", ("one-step-rise",)),
}


def refusals() -> set[str]:
    """`file function` of every ConfigError that is raised below stages/, the plan's own left out."""
    found = set()
    for path in sorted((ROOT / "stages").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name != "workflow/planning/experiment.py":
            found |= {f"{name} {place}" for place in places(ast.parse(path.read_text()), ())}
    return found


def places(node: ast.AST, within: tuple[str, ...]) -> set[str]:
    found = set()
    for child in ast.iter_child_nodes(node):
        named = (*within, child.name) if isinstance(child, ast.FunctionDef | ast.ClassDef) else within
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id == "ConfigError":
            found.add(".".join(named))
        found |= places(child, named)
    return found


def test_every_refusal_of_a_stage_is_the_plans_too_or_needs_what_the_plan_cannot_know() -> None:
    assert refusals() == set(REFUSALS)
    assert [place for place, refusal in REFUSALS.items() if not refusal.needs and not refusal.planned] == []


@pytest.mark.parametrize("wrong", sorted({wrong for refusal in REFUSALS.values() for wrong in refusal.planned}))
def test_the_plan_refuses_it(wrong: str, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text({**FAULTS, **ALL}[wrong][0])
    with pytest.raises(ConfigError):
        make_plan(load_experiment([TINY, overlay], ROOT / "config.yaml"), tmp_path)


def test_no_error_tells_to_delete_what_may_be_the_users_own() -> None:
    told = []
    for path in sorted((ROOT / "stages").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and "delete" in ast.unparse(node):
                told.append(path.relative_to(ROOT).as_posix())
    assert told == []
