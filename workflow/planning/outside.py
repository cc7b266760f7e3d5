"""Checkpoints from elsewhere as an experiment names them: what cannot be is refused before any job starts."""

from collections.abc import Mapping

from stages.core.config.checkpoint import Checkpoint
from stages.core.config.plugins import nearest
from stages.core.config.table import Table
from stages.core.errors import ConfigError


def check_checkpoints(
    checkpoints: Mapping[str, Checkpoint], tables: Mapping[str, Table], methods: list[str], datasets: list[str]
) -> None:
    """ConfigError for a checkpoint by a method's name or of no data set, and for a table that cannot be."""
    for name, given in checkpoints.items():
        if name in methods:
            raise ConfigError(f"checkpoints.{name}: a method goes by this name; give the checkpoint another")
        if given.dataset not in datasets:
            raise ConfigError(
                f"checkpoints.{name}.dataset: '{given.dataset}' is not known {nearest(given.dataset, datasets)}"
            )
    for key, table in tables.items():
        for choice in table.choices():
            if choice.method in checkpoints:
                _check_row(f"tables.{key}", table, choice.method, checkpoints[choice.method], bool(choice.changes))


def _check_row(where: str, table: Table, name: str, given: Checkpoint, changed: bool) -> None:
    """ConfigError where a table asks of a checkpoint what it does not have."""
    if table.kind == "losses":
        raise ConfigError(f"{where}.methods: '{name}' is a checkpoint and has no history to draw; leave it out")
    if changed:
        raise ConfigError(f"{where}: '{name}' is a checkpoint, in which nothing can be varied or set; leave that out")
    if given.dataset not in table.datasets:
        raise ConfigError(
            f"{where}.methods: '{name}' is of {given.dataset}, which is none of the table's datasets; name it there"
        )
