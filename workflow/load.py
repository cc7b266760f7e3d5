"""Config files: which of them make an experiment, read strictly, and checked before any job starts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stages.core.errors import ConfigError
from stages.core.experiment import Experiment, check, merge
from stages.core.explain import explain
from stages.core.signatures import shortened
from workflow.reading import read_yaml


def _on_its_base(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    if path.resolve() in above:
        raise ConfigError(f"{path}: `base` leads back to it; name another file, or leave base out")
    content = read_yaml(path)
    base = content.pop("base", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: the name of a file beside it is needed (given: {shortened(base)})")
    return merge(_on_its_base(path.parent / base, (*above, path.resolve())), content)


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
    alone = "experiment" not in merged
    if alone:
        merged = merge(read_yaml(default), merged)
    merged = merge(merged, overrides or {})
    if isinstance(merged.get("tables"), dict):
        merged["tables"] = {name: table for name, table in merged["tables"].items() if table is not None}
    try:
        experiment = Experiment.model_validate(merged)
        check(experiment)
    except ValidationError as error:
        raise ConfigError(explain(error, Experiment) + _laid_on(default, files, alone)) from error
    except ConfigError as error:
        raise ConfigError(f"{error}{_laid_on(default, files, alone)}") from error
    return experiment


def _laid_on(default: Path, files: Sequence[Path], alone: bool) -> str:
    """What a fault may come from where overlays were given without an experiment."""
    if not alone or not files:
        return ""
    names = " ".join(path.name for path in files)
    return f" ({names} has no key `experiment` and so lies on {default.name}; name its experiment's file before it)"
