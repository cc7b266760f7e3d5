"""A validation error as one line that names the key, the value, the rule and the nearest known key."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

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
        elif get_origin(current) in (dict, list, tuple):
            current = get_args(current)[1 if get_origin(current) is dict else 0]
        current = _bare(current)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _bare(annotation: Any) -> Any:
    """The type inside Annotated, or what an optional one is when it is there."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = next(inner for inner in get_args(annotation) if inner is not type(None))
    return annotation
