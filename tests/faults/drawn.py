"""Config files at random: overlays drawn from the JSON schema, configs with parts replaced, and broken YAML."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.conftest import EXPERIMENTS, ROOT, TINY

SCHEMA: dict[str, Any] = json.loads((ROOT / "workflow/config.schema.json").read_text(encoding="utf-8"))
BASES = (ROOT / "config.yaml", TINY, ROOT / "tests/everything.yaml", EXPERIMENTS / "cifar10-jpeg-small.yaml")
TOKENS = (
    *(": ", "- ", "? ", "&a ", "*a", "<<: ", "!!timestamp ", "!!binary ", "!!python/name:os.system ", "\t", "{", "}"),
    *("[", "]", "'", '"', "\x00", "é", "\ufeff", "\u2028", "|", ">", "#", "---\n", "...\n", "%YAML 9.9\n", "1e999"),
    *(".nan", "0x10", "1:30", "null", "~", "base: config.yaml\n", "9" * 5000, "{" * 500, "[" * 500, "- " * 500),
)
MANY = 4  # items and keys at most
Config = dict[str, Any]

wild = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["8/255", "1/0", "-1", "", " ", ".", "..", "/", "a/b", "\n", "auto", "all", "{x}", "$HOME", "lsp.m"]
    ),
    st.lists(st.integers() | st.text(max_size=5), max_size=MANY),
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=5) | st.none(), max_size=MANY),
)


@st.composite
def files(draw: Callable[..., Any]) -> tuple[Path, bytes, bool]:
    """A config that comes with the project, another's content, and whether this is an overlay of the first."""
    base = draw(st.sampled_from(BASES))
    how = draw(st.sampled_from(["overlay", "changed", "broken", "bytes"]))
    if how == "bytes":
        return base, draw(st.binary(max_size=200)), draw(st.booleans())
    if how == "broken":
        return base, draw(broken(base.read_text(encoding="utf-8"))), False
    content = draw(overlay(base)) if how == "overlay" else content_of(base)
    for _ in range(draw(st.integers(0 if how == "overlay" else 1, 3))):
        content = draw(changed(content))
    return base, yaml.safe_dump(content, allow_unicode=draw(st.booleans())).encode(), how == "overlay"


def content_of(base: Path) -> Config:
    """A fresh copy of what a config file holds."""
    loaded: Config = yaml.safe_load(base.read_text(encoding="utf-8"))
    return loaded


@cache
def overlay(base: Path) -> st.SearchStrategy[Config]:
    """Some keys of the schema, under names that the base has too; without `experiment` it is an overlay."""
    names = st.sampled_from(sorted(set(_names(content_of(base))))) | st.sampled_from(["new", "a+b", "x.y", "0"])
    parts = {key: _of(part, names) for key, part in SCHEMA["properties"].items() if key != "experiment"}
    chosen = st.sets(st.sampled_from(sorted(parts)), min_size=1, max_size=MANY)
    return chosen.flatmap(lambda keys: st.fixed_dictionaries({key: parts[key] for key in sorted(keys)}))


def _names(value: Any) -> Iterator[str]:
    """Every key of a config, and every word in its lists."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _names(item)
    if isinstance(value, list):
        for item in value:
            yield from [item] if isinstance(item, str) else _names(item)


def _of(schema: Config, names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """What a part of the schema allows."""
    if "$ref" in schema:
        return _of(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], names)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return st.one_of(*(_of(one, names) for one in schema[several]))
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    found: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "null": st.none,
        "boolean": st.booleans,
        "integer": lambda: st.integers(*_bounds(schema, 1)) | st.integers(*_bounds(schema, 1, 20)),
        "number": lambda: st.floats(*_bounds(schema, 0.5), allow_nan=False) | st.sampled_from(["8/255", 0.1, 1]),
        "string": lambda: names if "pattern" in schema else names | st.text(max_size=20),
        "array": lambda: _list(schema, names),
        "object": lambda: _object(schema, names),
    }
    kinds = schema.get("type", "object")
    return st.one_of(*(found[kind]() for kind in ([kinds] if isinstance(kinds, str) else kinds)))


def _bounds(schema: Config, step: float, most: float = float("inf")) -> tuple[Any, Any]:
    """The least and the largest number, None where there is none; at most `most` apart."""
    low = schema.get("minimum", schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else None)
    high = schema.get("maximum", schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else None)
    if low is None or most == float("inf"):
        return low, high
    return low, low + most if high is None else min(high, low + most)


def _list(schema: Config, names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        return st.tuples(*(_of(item, names) for item in schema["prefixItems"])).map(list)
    most = min(schema.get("maxItems", MANY), MANY)
    return st.lists(_of(schema.get("items", {}), names), min_size=schema.get("minItems", 0), max_size=most)


def _object(schema: Config, names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    patterns = [_of(part, names) for part in schema.get("patternProperties", {}).values()]
    if patterns:
        return st.dictionaries(names, st.one_of(*patterns), min_size=schema.get("minProperties", 0), max_size=MANY)
    if "properties" not in schema:
        extra = schema.get("additionalProperties", True)
        return st.dictionaries(names, _of(extra, names) if isinstance(extra, dict) else wild, max_size=MANY)
    parts = {key: _of(part, names) for key, part in schema["properties"].items()}
    needed = {key: parts[key] for key in schema.get("required", ())}
    few = st.sets(st.sampled_from(sorted(parts)), max_size=MANY)
    return few.flatmap(lambda keys: st.fixed_dictionaries({**{key: parts[key] for key in sorted(keys)}, **needed}))


@st.composite
def changed(draw: Callable[..., Any], content: Config) -> Config:
    """The config with one value, anywhere, put in another's place, removed, or made wild."""
    places = list(_places(content))
    if not places:
        return content
    parent, key = draw(st.sampled_from(places))
    how = draw(st.sampled_from(["wild", "other", "gone", "renamed"]))
    if how == "other":
        other_parent, other_key = draw(st.sampled_from(places))
        parent[key] = json.loads(json.dumps(other_parent[other_key]))
    elif how == "wild" or isinstance(parent, list):
        parent[key] = draw(wild)
    elif how == "gone":
        del parent[key]
    else:
        parent[draw(st.text(max_size=12))] = parent.pop(key)
    return content


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a config."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


@st.composite
def broken(draw: Callable[..., Any], text: str) -> bytes:
    """A YAML text with some of its bytes changed, removed, doubled, or with tokens of YAML put between them."""
    content = text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16"])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 40))
        how = draw(st.sampled_from(["token", "byte", "cut", "doubled"]))
        put = {
            "token": draw(st.sampled_from(TOKENS)).encode(),
            "byte": bytes([draw(st.integers(0, 255))]),
            "cut": b"",
            "doubled": 2 * content[at : at + length],
        }[how]
        content = content[:at] + put + content[at + (0 if how == "token" else length) :]
    return content
