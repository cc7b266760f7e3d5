"""Digest of the code a result depends on: a module's import closure inside `stages`, comments and docstrings left out.

Snakemake cannot see an edit to a module behind `python -m`, so this digest goes into a rule's params.
The room of settings stays out, but for a table's plan, which lays tables out: every value that settings resolve is in
the params already. So do this module, those that only refuse or word errors, progress or manifests or hold files
against them, and those that save and resume, which leaves every bit as it is. `job.epochs` stays in, for it decides
what comes after what.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG, TABLE_PLAN = "stages.core.config", "stages.core.config.table_plan"
WITHOUT_EFFECT = frozenset(
    f"stages.core.{name}"
    for name in (
        *("ceilings", "code", "errors", "leftovers", "manifests", "refused"),
        *(f"job.{name}" for name in ("interrupt", "lease", "once", "progress", "resume", "saving", "stage")),
    )
)


def code_digest(modules: Iterable[str], length: int = 16) -> str:
    """Hex digest of the import closure of `modules` (dotted names below `stages`)."""
    closure: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in closure or _is_without_effect(name):
            continue
        closure.add(name)
        waiting.extend(_read(name)[0])
    state = hashlib.sha256()
    for name in sorted(closure):
        state.update(f"{name}\n{_read(name)[1]}\n".encode())
    return state.hexdigest()[:length]


def _is_without_effect(module: str) -> bool:
    settings = module == CONFIG or module.startswith(f"{CONFIG}.")
    return module in WITHOUT_EFFECT or (settings and module != TABLE_PLAN)


def source_file(module: str) -> Path | None:
    """The file of a dotted module name below the project's root, or None where there is none."""
    base = ROOT.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _read(module: str) -> tuple[tuple[str, ...], str]:
    """What a module imports of `stages`, and its syntax tree without docstrings, as text."""
    path = source_file(module)
    if path is None:
        raise ModuleNotFoundError(f"no module {module} below {ROOT}")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_bare_string(statement)] or [ast.Pass()]
    imports = sorted(name for name in found if name.startswith("stages.") and source_file(name))
    return tuple(imports), ast.dump(tree)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """A node and every statement within it: nowhere else are imports and docstrings."""
    yield node
    for part in ("body", "handlers", "cases", "orelse", "finalbody"):
        for inner in getattr(node, part, ()):
            yield from _statements(inner)


def _is_bare_string(statement: ast.stmt) -> bool:
    """A docstring, of a module, class or function or below a constant."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
