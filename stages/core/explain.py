"""A validation error as one line that names the key, the value, the rule and the nearest known key."""

from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from stages.core.components import nearest


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of a validation as one line: the key's path, the value, the rule, and the nearest known key."""
    fault = error.errors()[0]
    path = ".".join(str(part) for part in fault["loc"]) or "the settings"
    if fault["type"] == "extra_forbidden":
        return f"{path}: unknown key {nearest(str(fault['loc'][-1]), _keys_at(model, fault['loc'][:-1]))}"
    rule = fault["msg"].removeprefix("Value error, ")
    value = fault.get("input")
    shown = "" if isinstance(value, dict | BaseModel) or fault["type"] == "missing" else f" (given: {value!r})"
    return f"{path}: {rule}{shown}"


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Field names of the section a path leads to; mappings and optionals are looked through."""
    current: Any = model
    for part in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part))
            current = None if field is None else field.annotation
        for argument in get_args(current):
            if get_origin(argument) in (dict, list, tuple) or (
                isinstance(argument, type) and issubclass(argument, BaseModel)
            ):
                current = argument
        if get_origin(current) in (list, tuple):
            current = get_args(current)[0]
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
