"""A config file read strictly: whatever is wrong with it, or may be read otherwise than meant, is one line.

`refuse_unreadable(sys.argv)` stands in the profiles: Snakemake itself reads config files before the Snakefile, and says
of one that is missing or broken neither its name nor the line.
"""

import argparse
import re
import sys
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from stages.core.ceilings import read_below, require_below
from stages.core.errors import ConfigError

TEXT = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"
PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")  # what else YAML has is no part of a config
BYTES, VALUES, DIGITS = 2**18, 2**17, 4000
DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
DECIMAL_FLOAT = re.compile(r"[^:]*")


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, one that is no text, and numbers in another base; dates are text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE:
                continue
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "of several parts"
            if key_node.tag != TEXT:
                raise ConfigError(f"{self.place(key_node)}: key {key} is no text to YAML; write it in quotes")
            if key in seen:
                raise ConfigError(f"{self.place(key_node)}: key '{key}' stands here twice; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge keys (`<<`) taken in; of merges that merge each other the pairs multiply."""
        super().flatten_mapping(node)
        require_below(len(node.value), VALUES, self.place(node), "pairs", ConfigError)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """A node's value; what its tag asks for and cannot be made of it is a ConfigError."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            kind = node.tag.rpartition(":")[2]
            raise ConfigError(f"{self.place(node)}: {str(node.value)[:40]!r} is no {kind} to YAML; mend it") from error

    def decimal_int(self, node: yaml.ScalarNode) -> int:
        """A whole number written in base 10."""
        if not DECIMAL.fullmatch(node.value):
            raise self.in_another_base(node, self.construct_yaml_int(node))
        try:
            return int(node.value.replace("_", ""))
        except ValueError:  # Python's limit of digits
            raise self.too_long(node) from None

    def decimal_float(self, node: yaml.ScalarNode) -> float:
        """A number written in base 10."""
        value: float = self.construct_yaml_float(node)
        if not DECIMAL_FLOAT.fullmatch(node.value):
            raise self.in_another_base(node, value)
        return value

    def in_another_base(self, node: yaml.ScalarNode, value: float) -> ConfigError:
        """What is said of 010, 0x10 and 1:30."""
        if len(node.value) > DIGITS:
            return self.too_long(node)
        plain = node.value.lstrip("0")
        meant = f"{value}, or {plain} if that is meant" if plain.isdigit() else f"{value}, or put it in quotes"
        return ConfigError(f"{self.place(node)}: {node.value} is {value} to YAML, in another base; write {meant}")

    def too_long(self, node: yaml.ScalarNode) -> ConfigError:
        """What is said of a number of thousands of digits."""
        return ConfigError(f"{self.place(node)}: {node.value[:20]}… has too many digits for a number; write fewer")

    def place(self, node: yaml.Node) -> str:
        """The file and line of a node."""
        return f"{self.name}, line {node.start_mark.line + 1}"


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.decimal_int)
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _StrictLoader.decimal_float)
_StrictLoader.yaml_constructors = {
    tag: make for tag, make in _StrictLoader.yaml_constructors.items() if tag is None or tag.rpartition(":")[2] in PLAIN
}
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping; ConfigError for a file that is missing, malformed, or may be read otherwise than it is meant."""
    try:
        loader = _StrictLoader(read_below(path, BYTES, ConfigError).decode())
        loader.name = str(path)
        loaded = loader.get_single_data()
        require_below(_values(loaded, (), {}), VALUES, f"{path}: written out", "values", ConfigError)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such config file") from error
    except OSError as error:
        raise ConfigError(f"{path}: no readable config file ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8 text") from error
    except yaml.YAMLError as error:
        raise ConfigError(_told(path, error)) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deep, or an anchor that holds itself; write it out") from error
    if loaded is None:
        raise ConfigError(f"{path}: holds nothing; a mapping of keys to values is needed, e.g. `seeds: [0]`")
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: a mapping of keys to values is needed, not a {type(loaded).__name__}")
    return loaded


def refuse_unreadable(argv: Sequence[str]) -> None:
    """End with one line and status 1 where a file that a command line names as --configfile cannot be read."""
    cli = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    cli.add_argument("--configfile", "--configfiles", nargs="+", type=Path, action="extend", default=[])
    try:
        for path in cli.parse_known_args(argv[1:])[0].configfile:
            read_yaml(path)
    except ConfigError as error:
        sys.exit(f"config error: {error}")


def _told(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else f"{path}"
    rule = " ".join(str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).split())
    cure = "indent with spaces" if "\\t" in rule else "mend it there, or in the line before"
    return f"{place}: not valid YAML ({rule}); {cure}"


def _values(value: Any, above: tuple[int, ...], known: dict[int, int]) -> int:
    """How many values there are once every alias is written out; RecursionError for one that holds itself.

    known: of each mapping or list seen, by its id: each is counted once, however often it stands there.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) in above:
        raise RecursionError
    if id(value) not in known:
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_values(item, (*above, id(value)), known) for item in items)
    return known[id(value)]
