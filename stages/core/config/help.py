"""The settings of a stage as `--help` shows them: a name a line, its values and default, and what it means."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from stages.core.config.quantities import MOST

WIDTH = 100
KINDS = {
    "array": "list",
    "boolean": "true or false",
    "integer": "whole number",
    "null": "null",
    "number": "number",
    "object": "mapping",
    "string": "text",
}
BOUNDS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "minLength": "not empty",
    "minProperties": "at least {}",
}


def settings_help(model: type[BaseModel]) -> str:
    """Every setting of a model with its own below it; what is of a section that may be absent is named as well."""
    schema = model.model_json_schema()
    lines = _lines(schema, schema.get("$defs", {}), "")
    wrapped = textwrap.TextWrapper(WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)
    return "\n".join(map(wrapped.fill, lines))


def _lines(section: Mapping[str, Any], sections: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, field in section.get("properties", {}).items():
        needed = "required" if name in section.get("required", ()) else f"default {_default(field)}"
        meaning = f": {field['description']}" if "description" in field else ""
        yield f"{prefix}{name} ({_values(field, sections)}; {needed}){meaning}"
        below, path = _section(field, sections)
        yield from _lines(below, sections, f"{prefix}{name}{path}.")


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default", {})
    return "as below" if default and isinstance(default, dict) else json.dumps(default, ensure_ascii=False)


def _section(field: Mapping[str, Any], sections: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The section that a field is, may be, or holds many of, and how their place is written; else an empty one."""
    if "$ref" in field:
        return sections[field["$ref"].rpartition("/")[2]], ""
    for key, path in (("items", "[]"), ("additionalProperties", ".<name>")):
        if isinstance(field.get(key), dict):
            found, deeper = _section(field[key], sections)
            return found, path + deeper
    choices = (_section(choice, sections) for choice in field.get("anyOf", ()))
    return next((choice for choice in choices if choice[0]), ({}, ""))


def _values(field: Mapping[str, Any], sections: Mapping[str, Any]) -> str:
    """What may be written, with its bounds."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_values(choice, sections) for choice in field["anyOf"]))
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    if "$ref" in field:
        return "section"
    bounds = [words.format(_short(field[key])) for key, words in BOUNDS.items() if field.get(key, MOST) != MOST]
    return ", ".join([KINDS.get(field.get("type", ""), "any value"), *bounds])


def _short(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)
