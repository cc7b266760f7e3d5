"""docs/configuration.md is what the models and the plug-ins' files say, and leaves out none of them."""

from typing import Any, get_args

from pydantic import BaseModel

from stages.core.config.method import Method
from stages.core.config.plugins import FOLDERS, Plugin, known, settings_of
from workflow.generate.configuration import PAGE, SECTIONS, page
from workflow.planning.experiment import Experiment


def sections_in(annotation: Any) -> set[type[BaseModel]]:
    """Every model that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in sections_in(part)}


def test_the_committed_page_is_the_models_own() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m workflow.generate.configuration`"


def test_every_section_that_a_config_can_hold_has_a_table() -> None:
    found: set[type[BaseModel]] = set()
    waiting: set[type[BaseModel]] = {Experiment, Method}
    while waiting:
        model = waiting.pop()
        found.add(model)
        waiting |= {part for field in model.model_fields.values() for part in sections_in(field.annotation)} - found
    assert set(SECTIONS.values()) == found - {Plugin}


def test_every_plugin_and_each_of_its_settings_has_a_row() -> None:
    text = page()
    for kind in FOLDERS:
        for name in known(kind):
            assert f"| `{name}` |" in text
            assert all(f"|  | `{key}` |" in text for key in settings_of(kind, name))


def test_every_key_of_every_section_says_what_it_is() -> None:
    assert not [
        f"{place}.{name}"
        for place, model in SECTIONS.items()
        for name, field in model.model_json_schema()["properties"].items()
        if not field.get("description")
    ]
