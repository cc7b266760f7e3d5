"""Names survive growth: every id of the first two experiments is what it was when their outcomes were made."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from stages.core.config.attacks import Attack
from stages.core.config.method import Lsp
from stages.core.config.plugins import Plugin, settings_identity
from stages.core.config.section import Section
from tests.conftest import ROOT
from workflow.planning.load import load_experiment
from workflow.planning.runs import Plan
from workflow.planning.tables import make_plan

IDS = Path(__file__).with_name("ids")
EXPERIMENTS = ("digits", "cifar10-jpeg-small")
STAGES = ("data", "pretrain", "embed", "neighbors", "structure", "train", "attack")


# What the demonstration has changed since, by intent.
SINCE = {
    "digits": {
        "recipes": {"standard": {"precision": "exact"}, "adversarial": {"precision": "exact"}},
        "attacks": {"aa": {"kind": "autoattack"}},
    }
}


def plan_of(path: Path, changes: dict[str, Any] | None = None) -> Plan:
    return make_plan(load_experiment([path], ROOT / "config.yaml", changes or {}), Path("no results here"))


def ids_of(plan: Plan) -> dict[str, list[str]]:
    ids = {stage: sorted(getattr(plan, stage)) for stage in STAGES}
    return ids | {
        "attacks": sorted({key for job in plan.attack.values() for key in json.loads(job.settings)["attacks"]})
    }


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_id_is_what_it_was(experiment: str) -> None:
    assert ids_of(plan_of(IDS / f"{experiment}.yaml")) == json.loads((IDS / f"{experiment}.json").read_text())


@pytest.mark.parametrize(
    ("experiment", "path"),
    [("digits", "config.yaml"), ("cifar10-jpeg-small", "workflow/experiments/cifar10-jpeg-small.yaml")],
)
def test_the_experiments_as_they_are_now_name_their_methods_runs_and_attacks_as_then(
    experiment: str, path: str
) -> None:
    then = json.loads((IDS / f"{experiment}.json").read_text())
    now = ids_of(plan_of(ROOT / path, SINCE.get(experiment)))
    assert set(now["data"] + now["pretrain"] + now["embed"] + now["neighbors"]) <= set(
        then["data"] + then["pretrain"] + then["embed"] + then["neighbors"]
    )
    assert {*then["attacks"]} == {*now["attacks"]}
    plain = {run for run in then["train"] if run.split("/")[1].rpartition("-")[0] in METHODS}
    assert len(plain) == len(METHODS)
    assert plain <= set(now["train"])


METHODS = {
    *("vanilla", "mixup", "augmix", "lsp", "at", "trades", "mart", "hat", "hat-helper", "lsp-plus"),
}


class Grown(Section):
    """A section whose third option came later, whose second was once called `old`, and that has lost a knob."""

    ADDED: ClassVar = {"later": 0}
    RENAMED: ClassVar = {"new": "old"}
    REMOVED: ClassVar = {"knob": False}
    kept: int = 1
    new: int = 2
    later: int = 5


def test_the_canonical_form_leaves_out_what_came_later_and_keeps_what_has_gone() -> None:
    assert Grown(later=0).identity() == {"kept": 1, "old": 2, "knob": False}
    assert Grown().identity() == {"kept": 1, "old": 2, "knob": False, "later": 5}


def test_a_record_of_any_version_is_revived_to_what_it_meant() -> None:
    assert Grown.revived({"kept": 3, "old": 4, "knob": False}) == Grown(kept=3, new=4, later=0)
    assert Grown.revived({"kept": 3, "new": 4, "later": 6}) == Grown(kept=3, new=4, later=6)


def test_an_attack_on_all_images_has_one_name_whatever_its_subset() -> None:
    names = [Attack(kind="pgd", images=n, subset=s).identity() for n in (None, 5) for s in ("first", "stratified")]
    assert names[0] == names[1]
    assert names[2] != names[3]


def test_an_option_at_its_first_value_names_nothing() -> None:
    assert Lsp(logits="plain").identity() == Lsp().identity() != Lsp(logits="standardized").identity()
    pgd = Plugin(name="pgd", settings={"steps": 3})
    assert settings_identity("attacks", pgd) == {"steps": 3}
