"""Sources, objectives, augmentations and attacks as plug-ins: a file is one, its keyword arguments are its settings.

`stages/train/objectives/trades.py` holds `def trades(..., *, beta: NonNegative = 6.0)`; so `objective: trades` is a
legal config value, `beta` its only setting and 6.0 the default. Files are read and not run (see signatures.py), so a
config is checked without importing torch, and a new method is one new file.
"""

import ast
import difflib
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from stages.core.code import ROOT
from stages.core.config.signatures import PluginError, Setting, assigned, parsed, read_constant, read_settings, takes

FOLDERS = {
    "sources": "stages/data/sources",
    "objectives": "stages/train/objectives",
    "augmentations": "stages/train/augmentations",
    "attacks": "stages/attack/attacks",
}
POSITIONAL = {
    "sources": ("folder",),
    "objectives": ("model", "batch", "context"),
    "augmentations": ("images", "labels", "generator"),
    "attacks": ("model", "images", "labels", "threat", "generator"),
}
ALL_AT_ONCE = ("model", "images", "labels", "threat", "evaluation")  # an attack that declares it


class Plugin(BaseModel):
    """A component by name with its settings, written `trades` or `{name: trades, beta: 6}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
    name: str = Field(description="the component's file name")
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and "settings" not in value and "name" in value:
            return {"name": value["name"], "settings": {key: item for key, item in value.items() if key != "name"}}
        return value

    @model_serializer
    def _to_flat(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings}


def known(kind: str) -> list[str]:
    """Names of all components of a kind (a key of FOLDERS)."""
    return sorted(path.stem for path in (ROOT / FOLDERS[kind]).glob("*.py") if not path.stem.startswith("_"))


def module_name(kind: str, name: str) -> str:
    """The dotted module of a component; its hyphens are underscores there."""
    return f"{FOLDERS[kind].replace('/', '.')}.{name.replace('-', '_')}"


def file_name(kind: str, name: str) -> str:
    """The file of a component, from the project's root."""
    return f"{FOLDERS[kind]}/{name.replace('-', '_')}.py"


def _tree(kind: str, name: str) -> ast.Module:
    stem = name.replace("-", "_")
    if stem not in known(kind):
        raise PluginError(f"'{name}' is none of the {kind} {nearest(name, known(kind))}")
    shown = file_name(kind, name)
    return parsed(ROOT / shown, shown)


@cache
def settings_of(kind: str, name: str) -> dict[str, Setting]:
    """A component's settings by name, read from the keyword-only arguments of the function named like its file."""
    positional = () if kind == "sources" and is_bundled(name) else POSITIONAL[kind]
    if kind == "attacks" and declares(kind, name, "ALL_AT_ONCE"):
        positional = ALL_AT_ONCE
    return read_settings(_tree(kind, name), name.replace("-", "_"), positional, file_name(kind, name))


@cache
def constant(kind: str, name: str, what: str) -> Any:
    """The literal that a component's file gives to a constant at its top level, or None."""
    return read_constant(_tree(kind, name), what, file_name(kind, name))


def declares(kind: str, name: str, what: str) -> bool:
    """Whether a component's file says `what = True` at its top level (NEEDS_HELPER, UNBOUNDED)."""
    return constant(kind, name, what) is True


def source_names() -> list[str]:
    """The sources as a config names them, with hyphens."""
    return [name.replace("_", "-") for name in known("sources")]


def is_bundled(source: str) -> bool:
    """Whether a source's function takes no folder, for its images come with a library."""
    return takes(_tree("sources", source), source.replace("-", "_")) == 0


def is_downloaded(source: str) -> bool:
    """Whether a source's file names ARCHIVES to read where a config names no folder."""
    return assigned(_tree("sources", source), "ARCHIVES") is not None


def is_adversarial(objective: str) -> bool:
    """Whether an objective trains on adversarial images; its file has to say so, for what is kept hangs on it."""
    said = constant("objectives", objective, "ADVERSARIAL")
    if not isinstance(said, bool):
        raise PluginError(
            f"{file_name('objectives', objective)} does not say whether it trains on adversarial images; write"
            " `ADVERSARIAL = True` (the best epoch can be kept) or `ADVERSARIAL = False` at its top level"
        )
    return said


def scores_no_extras(objective: str) -> bool:
    """Whether every Scored(…) that an objective's file returns says None for the extras' logits."""
    calls = [
        node
        for node in ast.walk(_tree("objectives", objective))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Scored"
    ]
    named = [[word.value for word in call.keywords if word.arg == "extra_logits"] for call in calls]
    given = [found or call.args[2:3] for call, found in zip(calls, named, strict=True)]
    return bool(given) and all(
        len(value) == 1 and isinstance(value[0], ast.Constant) and value[0].value is None for value in given
    )


def resolve(kind: str, component: Plugin) -> Plugin:
    """The component with all its settings, given ones checked, others by default; PluginError says what is wrong."""
    settings = settings_of(kind, component.name)
    for key in component.settings:
        if key not in settings:
            raise PluginError(f"'{key}' is no setting of {component.name} {nearest(str(key), list(settings))}")
    values = {
        key: setting.checked(key, component.settings[key]) if key in component.settings else setting.default
        for key, setting in settings.items()
    }
    return Plugin(name=component.name, settings=values)


def settings_identity(kind: str, component: Plugin) -> dict[str, Any]:
    """The settings that names are hashed from (see stages.core.config.section).

    A file whose settings grew says ADDED = {setting: the value that all earlier runs had}: there it is left out.
    """
    added = constant(kind, component.name, "ADDED") or {}
    return {key: value for key, value in component.settings.items() if key not in added or value != added[key]}


def nearest(word: str, words: list[str]) -> str:
    """'(did you mean …?)' with the nearest of `words`, or the list of them."""
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"(did you mean '{close[0]}'?)"
    return f"(known: {', '.join(sorted(words)) or 'none'})"
