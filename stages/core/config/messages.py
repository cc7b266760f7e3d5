"""A validation error as one line that names the key, the value, the rule and the nearest known key.

Pydantic's own text takes three lines a fault, names no key that may have been meant and shows an address on the web;
whoever misspells a setting should read in one line what to write instead.
"""

import re
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from stages.core.config.plugins import nearest
from stages.core.config.signatures import shortened

# What people call a setting -> its name here, where that is no near spelling.
OTHER_NAMES = {
    "lambda": "weight",
    "lam": "weight",
    "lambda_": "weight",
    "eps": "epsilon",
    "alpha": "step_size",
    "k": "m",
    "neighbors": "m",
    "tau": "temperature",
    "learning_rate": "lr",
    "iterations": "steps",
    "wd": "weight_decay",
}
SETTING_FIRST = re.compile(r"[a-z_]+(\.[a-z_]+)*: ")


def validation_message(error: ValidationError, model: type[BaseModel], where: str = "") -> str:
    """The first fault of a validation as one line: the key's path, the value, the rule, and the nearest known key.

    where: the path of the section that was validated. A rule between settings names the one that breaks it itself.
    """
    fault = error.errors()[0]
    parts, _ = _followed(model, fault["loc"])
    path = ".".join(part for part in (where, *parts) if part)
    if fault["type"] == "extra_forbidden":
        keys, word = _keys_at(model, fault["loc"][:-1]), str(fault["loc"][-1])
        meant = OTHER_NAMES.get(word)
        return f"{path}: unknown key {nearest(meant, [meant]) if meant in keys else nearest(word, keys)}"
    if fault["type"] == "union_tag_invalid":
        tag, kinds = fault["ctx"]["tag"], re.findall(r"'([^']+)'", fault["ctx"]["expected_tags"])
        return f"{path}.kind: '{tag}' is none of the kinds {nearest(tag, kinds)}"
    if fault["type"] == "union_tag_not_found":
        return f"{path}: `kind` is needed, which says what keys it has"
    value, rule = fault.get("input"), " ".join(fault["msg"].removeprefix("Value error, ").split())
    if fault["type"] == "value_error" and isinstance(value, dict | BaseModel):
        return located(path, rule)
    if fault["type"] == "string_pattern_mismatch":
        rule = "a name is letters, digits, `.`, `_` and `-`, a letter or digit first"
    told = isinstance(value, dict | BaseModel) or fault["type"] == "missing" or rule.startswith(shortened(value))
    return (
        f"{path or 'the settings'}: {rule}" if told else f"{path or 'the settings'}: {rule} (given: {shortened(value)})"
    )


def located(where: str, rule: str) -> str:
    """A rule with the path of the section it is broken in; one that begins with a setting's name goes on the path."""
    if not where:
        return rule
    return f"{where}.{rule}" if SETTING_FIRST.match(rule) else f"{where}: {rule}"


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Field names of the section a path leads to; mappings and optionals are looked through."""
    _, current = _followed(model, path)
    return list(current.model_fields) if _is_section(current) else []


def _followed(model: type[BaseModel], path: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """A fault's path without what pydantic adds to it - which of several sections it took - and what it leads to."""
    shown: list[str] = []
    current: Any = model
    for part in map(str, path):
        if part == "[key]":
            continue
        chosen = _chosen(current, part)
        if chosen is not None:
            current = chosen
            continue
        shown.append(part)
        if _is_section(current):
            field = current.model_fields.get(part)
            current = None if field is None else field.annotation
        elif get_origin(current) in (dict, list, tuple):
            current = get_args(current)[1 if get_origin(current) is dict else 0]
        current = _bare(current)
    return shown, current


def _chosen(annotation: Any, tag: str) -> type[BaseModel] | None:
    """Of several sections the one that a tag stands for: the value of a key of its own."""
    if get_origin(annotation) not in (Union, UnionType):
        return None
    literals = {value: inner for inner in get_args(annotation) for value in _literals(inner)}
    return literals.get(tag)


def _literals(section: type[BaseModel]) -> list[Any]:
    kinds = [field.annotation for field in section.model_fields.values() if field.is_required()]
    return [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _bare(annotation: Any) -> Any:
    """The type inside Annotated, or what an optional one is when it is there; of several sections all."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        inside = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
        known = [inner for inner in inside if inner is not type(None)]
        if len(known) > 1 and all(map(_is_section, known)):
            return annotation
        annotation = known[0]
    return annotation
