"""A component's file, read without running it: its function's keyword arguments, and the constants at its top level.

An argument's annotation says what a config may write there: `float` is any finite number, `int` any whole one, `bool`
and `str` what they say, `Positive`, `NonNegative`, `Fraction01`, `Count` and the others of quantities.py add bounds,
and so do `Annotated[float, Field(ge=0.1, le=10)]`, `Literal["up", "down"]`, `X | None` and `tuple[X, Y]`.
"""

import ast
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import Field, StrictBool, StrictStr, TypeAdapter, ValidationError

from stages.core.config import quantities

QUANTITIES = ("NumberOrInfinity", "Number", "Positive", "NonNegative", "Fraction01", "BelowOne")
MOST_SHOWN = 80
COUNTS = ("Whole", "Count", "CountOrZero", "Seed")
TYPES: dict[str, Any] = {
    "float": quantities.Number,
    "int": quantities.Whole,
    "bool": StrictBool,
    "str": StrictStr,
    **{name: getattr(quantities, name) for name in (*QUANTITIES, *COUNTS)},
}
BOUNDS = ("ge", "gt", "le", "lt", "multiple_of", "pattern", "min_length", "max_length", "description")


class PluginError(ValueError):
    """A component or one of its settings is unknown or out of range."""


@dataclass(frozen=True)
class Setting:
    """One keyword argument: what checks its value, and its default."""

    type: TypeAdapter[Any]
    default: Any

    def checked(self, key: str, value: Any) -> Any:
        """The value as the function takes it; PluginError with the key, the rule and the value."""
        try:
            return self.type.validate_python(value)
        except ValidationError as error:
            fault = error.errors()[0]
            rule = fault["msg"].removeprefix("Value error, ")
            raise PluginError(f"{key}: {rule} (given: {shortened(value)})") from None


def shortened(value: Any) -> str:
    """A value as Python writes it, on one line, its end left out where it is long."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # a whole number of thousands of digits, a list within itself
        return f"a {type(value).__name__} too long to print"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def parsed(path: Path, shown: str) -> ast.Module:
    """The syntax tree of a component's file; PluginError names a syntax error's line."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        rule = error.msg if isinstance(error, SyntaxError) else str(error)
        raise PluginError(f"{shown}{line}: not valid Python ({rule}); mend it, or move the file away") from None


def read_settings(tree: ast.Module, name: str, positional: tuple[str, ...], shown: str) -> dict[str, Setting]:
    """The settings by name of the function `name`, which takes `positional` and then settings by keyword alone."""
    form = f"def {name}({', '.join(positional)}, *, setting: float = 1.0)"
    function = _function(tree, name)
    if function is None:
        raise PluginError(f"{shown} defines no function {name}; write `{form}` there")
    given = function.args
    if given.vararg or given.kwarg:
        raise PluginError(f"{shown}: {name} takes *args or **kwargs; name every setting: `{form}`")
    taken = takes(tree, name)
    if taken != len(positional):
        raise PluginError(f"{shown}: {name} takes {taken} positional arguments, not {len(positional)}; write `{form}`")
    pairs = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    return {argument.arg: _setting(argument, default, shown) for argument, default in pairs}


def takes(tree: ast.Module, name: str) -> int | None:
    """How many arguments the function `name` takes by position; None where there is no such function."""
    function = _function(tree, name)
    return None if function is None else len(function.args.posonlyargs) + len(function.args.args)


def _function(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    return next((node for node in tree.body[::-1] if isinstance(node, ast.FunctionDef) and node.name == name), None)


def assigned(tree: ast.Module, what: str) -> ast.expr | None:
    """What a constant is given at the top level, or None where there is no such constant."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == what for target in targets):
            return node.value  # type: ignore[attr-defined, no-any-return]
    return None


def read_constant(tree: ast.Module, what: str, shown: str) -> Any:
    """The literal that a constant is given at the top level, or None where there is no such constant."""
    value = assigned(tree, what)
    if value is None:
        return None
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError):
        raise PluginError(f"{shown}, line {value.lineno}: {what} must be a literal, e.g. True") from None


def _setting(argument: ast.arg, default: ast.expr | None, shown: str) -> Setting:
    where = f"{shown}, line {argument.lineno}: keyword argument '{argument.arg}'"
    if default is None:
        raise PluginError(f"{where} needs a default")
    if argument.annotation is None:
        raise PluginError(f"{where} needs an annotation, e.g. `{argument.arg}: Positive = …`")
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(_type(argument.annotation))
    except (ValueError, TypeError) as error:
        known = ", ".join((*TYPES, "Annotated", "Literal", "tuple"))
        raise PluginError(f"{where}: {' '.join(str(error).split())}; known: {known}") from None
    try:
        value = _literal(default)
    except (ValueError, TypeError, ArithmeticError):
        raise PluginError(f"{where}: the default `{ast.unparse(default)}` is no literal; write its value") from None
    try:
        return Setting(adapter, Setting(adapter, None).checked("its default", value))
    except PluginError as error:
        raise PluginError(f"{where}: {error}") from None


def _type(node: ast.expr) -> Any:
    """The type an annotation names; no code of the file is run for it."""
    if isinstance(node, ast.Name) and node.id in TYPES:
        return TYPES[node.id]
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[_type(node.left), _type(node.right)]  # noqa: UP007
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        match node.value.id:
            case "Literal":
                return Literal[tuple(ast.literal_eval(part) for part in parts)]
            case "tuple":
                return tuple[tuple(_type(part) for part in parts)]  # type: ignore[misc]
            case "Annotated":
                return Annotated[_type(parts[0]), *(_bounds(part) for part in parts[1:])]  # type: ignore[valid-type]
    raise ValueError(f"the annotation `{ast.unparse(node)}` is none that can be checked")


def _bounds(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Field" and not node.args:
        bounds = {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
        if all(name in BOUNDS for name in bounds):
            return Field(**bounds)
    raise ValueError(f"`{ast.unparse(node)}` is no Field(…) of {', '.join(BOUNDS)}")


def _literal(node: ast.expr) -> Any:
    """A literal's value; fractions of numbers, and infinity as `math.inf` or `float("inf")`, are literals too."""
    text = ast.unparse(node).replace(" ", "").replace('"', "'")
    if text.lstrip("-") in ("math.inf", "float('inf')"):
        return float("-inf" if text.startswith("-") else "inf")
    if isinstance(node, ast.BinOp):
        return float(Fraction(text))
    return ast.literal_eval(node)
