"""Every number of docs/recipes.md that stands in the code or in paper.yaml is the one that stands there."""

import re
from pathlib import Path

import pytest
import yaml

from stages.core.config.plugins import FOLDERS, Plugin, known, resolve, settings_of
from tests.conftest import ROOT
from tests.docs.blocks import Block, blocks
from workflow.planning.load import load_experiment
from workflow.planning.presets import PRESETS
from workflow.planning.tables import make_plan

PAGE = ROOT / "docs/recipes.md"
PAPER = [ROOT / f"workflow/experiments/{name}.yaml" for name in ("paper", "honest-columns")]
SECTION = re.compile(r"^### `([^`]+)`\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
SECTIONS: dict[str, str] = dict(SECTION.findall(PAGE.read_text(encoding="utf-8")))
PLUGINS = [(kind, name) for kind in ("objectives", "augmentations", "attacks") for name in known(kind)]


def jobs(*files: Path) -> set[str]:
    """The names of all runs and attacks that files plan, in which every setting of weight is hashed."""
    plan = make_plan(load_experiment(list(files), ROOT / "config.yaml"))
    return {*plan.pretrain, *plan.neighbors, *plan.structure, *plan.train, *plan.attack}


@pytest.mark.parametrize(("kind", "name"), [given for given in PLUGINS if given[1] != "none"])
def test_a_recipe_names_every_setting_with_its_default(kind: str, name: str) -> None:
    (said,) = re.findall(r"Settings:\s+`(\{.*?\})`", SECTIONS[name])
    given = yaml.safe_load(said)
    assert given.keys() == settings_of(kind, name).keys()
    assert resolve(kind, Plugin(name=name, settings=given)) == resolve(kind, Plugin(name=name))


def test_every_method_has_a_recipe() -> None:
    named = {"vanilla": "ce", "hat-helper": "hat", "gradient-norm": "gradient_norm"}
    assert {named.get(name, name) for name in PRESETS} <= SECTIONS.keys()
    assert set(FOLDERS) >= {kind for kind, _ in PLUGINS}


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if block.page == PAGE], ids=str)
def test_a_stanza_says_what_paper_yaml_says(block: Block, tmp_path: Path) -> None:
    (tmp_path / "block.yaml").write_text(block.text)
    assert jobs(*PAPER, tmp_path / "block.yaml") == jobs(*PAPER)
