"""Config files: which of them make an experiment, read strictly, and checked before any job starts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stages.core.errors import ConfigError
from stages.core.experiment import Experiment, check, merge
from stages.core.explain import explain


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise ConfigError(f"{self.name}, line {line}: key '{key}' stands here twice; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping; ConfigError for one that is missing, malformed, or holds a key twice."""
    try:
        with path.open(encoding="utf-8") as stream:
            loaded = yaml.load(stream, _StrictLoader)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such config file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: a mapping of keys to values is needed")
    return loaded


def _on_its_base(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    base = content.pop("base", None)
    return content if base is None else merge(_on_its_base(path.parent / str(base)), content)


def load_experiment(files: Sequence[Path], default: Path, overrides: dict[str, Any] | None = None) -> Experiment:
    """The experiment of some files, later ones merged over earlier.

    A file with the key `experiment` is an experiment and replaces what came before; one without is an overlay.
    Where no file is an experiment, `default` lies underneath. `base: other.yaml` starts a file from another one beside
    it; a table that is null is left out. overrides: from --config, merged last.
    """
    merged: dict[str, Any] = {}
    for path in files:
        content = _on_its_base(path)
        merged = content if "experiment" in content else merge(merged, content)
    if "experiment" not in merged:
        merged = merge(read_yaml(default), merged)
    merged = merge(merged, overrides or {})
    if isinstance(merged.get("tables"), dict):
        merged["tables"] = {name: table for name, table in merged["tables"].items() if table is not None}
    try:
        experiment = Experiment.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(explain(error, Experiment)) from error
    check(experiment)
    return experiment
