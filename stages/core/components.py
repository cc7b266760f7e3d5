"""Objectives, augmentations and attacks as plug-ins: a file is a component, its keyword arguments are its settings.

`stages/train/objectives/trades.py` holds `def trades(..., *, beta: float = 6.0)`; so `objective: trades` is a legal
config value, `beta` its only setting and 6.0 the default. Signatures are read from the source, so a config is
checked without importing torch, and a new method is one new file.
"""

import ast
import difflib
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from stages.core.code import ROOT

FOLDERS = {
    "objectives": "stages/train/objectives",
    "augmentations": "stages/train/augmentations",
    "attacks": "stages/attack/attacks",
}


class ComponentError(ValueError):
    """A component or one of its settings is unknown or out of range."""


class Component(BaseModel):
    """A component by name with its settings, written `trades` or `{name: trades, beta: 6}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
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


@dataclass(frozen=True)
class Setting:
    """One keyword argument: its type (float, int, bool or one of `choices`) and its default."""

    type: str
    default: Any
    choices: tuple[str, ...] = ()


def known(kind: str) -> list[str]:
    """Names of all components of a kind (a key of FOLDERS)."""
    return sorted(path.stem for path in (ROOT / FOLDERS[kind]).glob("*.py") if not path.stem.startswith("_"))


def module_name(kind: str, name: str) -> str:
    """The dotted module of a component; its hyphens are underscores there."""
    return f"{FOLDERS[kind].replace('/', '.')}.{name.replace('-', '_')}"


@cache
def settings_of(kind: str, name: str) -> dict[str, Setting]:
    """A component's settings by name, read from the keyword-only arguments of the function named like its file."""
    stem = name.replace("-", "_")
    if stem not in known(kind):
        raise ComponentError(f"'{name}' is none of the {kind} {nearest(name, known(kind))}")
    tree = ast.parse((ROOT / FOLDERS[kind] / f"{stem}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == stem:
            pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            return {argument.arg: _setting(argument, default) for argument, default in pairs}
    raise ComponentError(f"{FOLDERS[kind]}/{stem}.py defines no function {stem}")


@cache
def constant(kind: str, name: str, what: str) -> Any:
    """The literal that a component's file gives to a constant at its top level, or None."""
    settings_of(kind, name)
    tree = ast.parse((ROOT / FOLDERS[kind] / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == what:
            return ast.literal_eval(node.value)
    return None


def declares(kind: str, name: str, what: str) -> bool:
    """Whether a component's file says `what = True` at its top level (ADVERSARIAL, NEEDS_HELPER, UNBOUNDED)."""
    return constant(kind, name, what) is True


def resolve(kind: str, component: Component) -> Component:
    """The component with all its settings, given ones checked, others by default; ComponentError says what is wrong."""
    settings = settings_of(kind, component.name)
    for key in component.settings:
        if key not in settings:
            raise ComponentError(f"'{key}' is no setting of {component.name} {nearest(key, list(settings))}")
    values = {
        key: _checked(key, component.settings[key], setting) if key in component.settings else setting.default
        for key, setting in settings.items()
    }
    return Component(name=component.name, settings=values)


def settings_identity(kind: str, component: Component) -> dict[str, Any]:
    """The settings that names are hashed from (see stages.core.section).

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


def _setting(argument: ast.arg, default: ast.expr | None) -> Setting:
    annotation = argument.annotation
    choices: tuple[str, ...] = ()
    if isinstance(annotation, ast.Subscript):
        choices = tuple(ast.literal_eval(annotation.slice))
    if default is None:
        raise ComponentError(f"keyword argument '{argument.arg}' needs a default")
    value = (
        float(Fraction(ast.unparse(default).replace(" ", "")))
        if isinstance(default, ast.BinOp)
        else ast.literal_eval(default)
    )
    return Setting(
        type="choice" if choices else ast.unparse(annotation) if annotation else "float", default=value, choices=choices
    )


def _checked(key: str, value: Any, setting: Setting) -> Any:
    if setting.type == "choice":
        if value not in setting.choices:
            raise ComponentError(f"{key}: '{value}' is not one of {', '.join(setting.choices)}")
        return value
    if setting.type == "bool":
        if not isinstance(value, bool):
            raise ComponentError(f"{key}: {value!r} must be true or false")
        return value
    try:
        number = float(Fraction(value.replace(" ", ""))) if isinstance(value, str) else float(value)
    except (ValueError, TypeError, ArithmeticError):
        raise ComponentError(f"{key}: {value!r} is not a number") from None
    if isinstance(value, bool) or not math.isfinite(number) or number < 0:
        raise ComponentError(f"{key}: {value!r} must be a finite number, 0 or more")
    if setting.type == "int":
        if not number.is_integer() or number < 1:
            raise ComponentError(f"{key}: {value!r} must be a whole number, 1 or more")
        return int(number)
    return number
