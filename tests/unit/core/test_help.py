"""Laws of `--help`: it lists every setting of its stage, and the examples run as they stand, one after the other."""

import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from stages.core.code import source_file
from stages.core.config.attacks import AttackSettings
from stages.core.config.certificate import CertificateSettings
from stages.core.config.data import Data
from stages.core.config.help import settings_help
from stages.core.config.lipschitz import LipschitzSettings
from stages.core.config.method import TrainSettings
from stages.core.config.moco import Features
from stages.core.config.pictures import PicturesSettings
from stages.core.config.section import Section
from stages.core.config.structure import NeighborSearch, StructureSettings
from stages.core.config.table_plan import Plan
from stages.tables.certificates import Certificates
from stages.tables.lipschitz import Measured
from stages.tables.report.told import Report

STAGES = {
    "data": Data,
    "features pretrain": Features,
    "features embed": Features,
    "neighbors build": NeighborSearch,
    "neighbors search": NeighborSearch,
    "structure": StructureSettings,
    "train": TrainSettings,
    "attack": AttackSettings,
    "attack.certificate": CertificateSettings,
    "lipschitz": LipschitzSettings,
    "pictures": PicturesSettings,
    "tables": Plan,
    "tables.comparisons": Plan,
    "tables.certificates": Certificates,
    "tables.lipschitz": Measured,
    "tables.claims": Plan,
    "tables.assumptions": None,
    "tables.report": Report,
}
PYDANTIC_ONLY = {"ge", "gt", "le", "lt", "min_length", "max_length"}


def called(command: str, *more: str) -> None:
    """What `python -m stages.<command>` does, in this process."""
    name, *words = command.split()
    module = f"stages.{name}.__main__" if source_file(f"stages.{name}.__main__") else f"stages.{name}"
    import_module(module).main([*words, *more])


def shown(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        called(command, "--help")
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.slow
def test_the_examples_run_one_after_the_other_and_write_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in STAGES:
        example = shown(command, capsys).partition("example")[2].partition("\n")[2]
        words = shlex.split(example.replace("\\\n", ""))
        assert words[:3] == ["python", "-m", f"stages.{command.split()[0]}"]
        called(command, *words[2 + len(command.split()) :], "--device", "cpu", "--threads", "1")
        manifest = json.loads(Path(words[words.index("--manifest") + 1]).read_text())
        assert all(Path(output["path"]).is_file() for output in manifest["outputs"].values())


@pytest.mark.parametrize("command", [name for name, model in STAGES.items() if model])
def test_help_names_every_setting_of_the_stage(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = STAGES[command]
    listed = set(re.findall(r"^  (?:plans\[\]\.)?([a-z_]+) \(", shown(command, capsys), re.MULTILINE))
    assert model is not None
    assert set(model.model_fields) <= listed


def test_a_setting_shows_its_values_default_and_meaning_and_a_section_its_own_settings() -> None:
    text = " ".join(settings_help(TrainSettings).split())
    assert "method.lsp (section or null; default null)" in text
    assert "method.lsp.weight (number, >= 0; default 1.0): lambda" in text
    assert "recipe.attack.steps (whole number, >= 1, <= 100000; default 10)" in text
    assert "attacks.<name>.kind (text; required)" in settings_help(AttackSettings)
    assert "rows[].runs[].outcomes.<name>.path (text; required)" in settings_help(Plan)


@pytest.mark.parametrize("model", dict.fromkeys(model for model in STAGES.values() if model))
def test_bounds_are_spelled_as_json_schema_spells_them_so_that_editors_and_help_see_them(model: type[Section]) -> None:
    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    assert not keys(model.model_json_schema()) & PYDANTIC_ONLY
