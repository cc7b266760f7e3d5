"""Config files: which of them make an experiment, read strictly, and checked before any job starts."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stages.core.ceilings import LEVELS, require_below
from stages.core.code import ROOT
from stages.core.config.messages import validation_message
from stages.core.config.signatures import shortened
from stages.core.errors import ConfigError
from stages.core.files import digest
from workflow.planning.checks import check
from workflow.planning.experiment import Experiment, merge
from workflow.planning.reading import read_yaml

MACHINE = ("device", "jobs_per_gpu", "downloads", "resources", "most_runs")


def read_on_its_base(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A config file, merged over the one that its `base` names."""
    if path.resolve() in above:
        raise ConfigError(f"{path}: `base` leads back to it; name another file, or leave base out")
    require_below(len(above), LEVELS, f"{path}: `base`", "files on one another", ConfigError)
    content = read_yaml(path)
    base = content.pop("base", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: the name of a file beside it is needed (given: {shortened(base)})")
    below = read_on_its_base(path.parent / base, (*above, path.resolve()))
    if "experiment" in below and "experiment" not in content:
        raise ConfigError(
            f"{path}: stands on {base} and would write over its tables; give it an `experiment` of its own, or leave"
            f" `base` out and name it behind {base}"
        )
    return _laid_over(below, content)


def load_experiment(files: Sequence[Path], default: Path, overrides: dict[str, Any] | None = None) -> Experiment:
    """The experiment of some files, later ones merged over earlier.

    A file with the key `experiment` is an experiment and stands first; one without is an overlay. Where no file is an
    experiment, `default` lies underneath. `base: other.yaml` starts an experiment from another one beside it; a table
    or claim that is null is left out. overrides: from --config, merged last. What overlays change is in its `place`.
    """
    own: dict[str, Any] = {}
    used: list[Path] = []
    overlays: list[tuple[str, dict[str, Any]]] = []
    for path in files:
        content = read_on_its_base(path)
        if "experiment" in content:
            if used:
                raise ConfigError(
                    f"{path}: an experiment stands behind {used[0]} and would replace it; name one experiment, and"
                    " overlays behind it"
                )
            own, used = content, [path]
        else:
            used.append(path)
            overlays.append((path.stem, content))
    alone = not own
    own = own or read_yaml(default)
    overlays += [("config", overrides)] if overrides else []
    merged = own
    for _, content in overlays:
        merged = _laid_over(merged, content)
    merged = _without_null(merged)
    try:
        experiment = Experiment.model_validate(merged)
        check(experiment)
    except ValidationError as error:
        raise ConfigError(validation_message(error, Experiment) + _laid_on(default, files, alone)) from error
    except ConfigError as error:
        raise ConfigError(f"{error}{_laid_on(default, files, alone)}") from error
    variant = _variant([stem for stem, _ in overlays], own, merged)
    if not variant:  # overlays in which no number can differ are not told of
        used, overrides = used[: 0 if alone else 1], None
    return experiment.as_loaded(variant, _command(used, overrides or {}))


def _command(files: Sequence[Path], overrides: dict[str, Any]) -> str:
    """What runs an experiment; a file elsewhere goes by its name, for where it lies is this machine's own."""
    words = ["snakemake", "--cores", "all"]
    if files:
        named = [
            path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name for path in map(Path.absolute, files)
        ]
        words += ["--configfile", *map(str, named)]
    return shlex.join(words + setting_words(overrides))


def setting_words(settings: dict[str, Any]) -> list[str]:
    """The arguments that lay settings on an experiment."""
    return ["--config", *(f"{key}={json.dumps(value)}" for key, value in settings.items())] if settings else []


def _variant(stems: list[str], own: dict[str, Any], merged: dict[str, Any]) -> str:
    """The overlays' names and eight digits of what they make of the experiment; '' where no number can differ."""
    before, after = (_without_machine(_without_null(content)) for content in (own, merged))
    if before == after:
        return ""
    words = [re.sub(r"[^A-Za-z0-9._-]", "_", stem) for stem in stems]
    return "-".join([*words, digest(yaml.safe_dump(after, sort_keys=False))])


def _laid_over(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` merged over a config; a table that it leaves out (null) takes a whole one alone, with `datasets`."""
    have, tables = base.get("tables"), changes.get("tables")
    if isinstance(have, dict) and isinstance(tables, dict):
        out = {name for name, table in have.items() if table is None}
        kept = {
            name: table
            for name, table in tables.items()
            if name not in out or not isinstance(table, dict) or "datasets" in table
        }
        changes = {**changes, "tables": kept}
    return merge(base, changes)


def _without_null(content: dict[str, Any]) -> dict[str, Any]:
    named = {key: content[key] for key in ("tables", "claims") if isinstance(content.get(key), dict)}
    return content | {key: {name: one for name, one in of.items() if one is not None} for key, of in named.items()}


def _without_machine(content: dict[str, Any]) -> dict[str, Any]:
    """An experiment's content without what says where and by what it is computed."""
    kept = {key: value for key, value in content.items() if key not in MACHINE}
    if isinstance(kept.get("datasets"), dict):
        kept["datasets"] = {name: _unplaced(dataset) for name, dataset in kept["datasets"].items()}
    return kept


def _unplaced(dataset: Any) -> Any:
    data = dataset.get("data") if isinstance(dataset, dict) else None
    if not isinstance(data, dict):
        return dataset
    return {**dataset, "data": {key: value for key, value in data.items() if key != "folder"}}


def _laid_on(default: Path, files: Sequence[Path], alone: bool) -> str:
    """What a fault may come from where overlays were given without an experiment."""
    if not alone or not files:
        return ""
    names = " ".join(path.name for path in files)
    return f" ({names} has no key `experiment` and so lies on {default.name}; name its experiment's file before it)"
