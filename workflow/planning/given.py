"""What a command line names an experiment by: config files, and settings laid on them."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stages.core.code import ROOT
from workflow.planning.experiment import Experiment
from workflow.planning.load import load_experiment, setting_words


@dataclass(frozen=True)
class Given:
    """files: as for snakemake's --configfile; settings: as Snakemake has read those of its --config."""

    files: Sequence[Path] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def experiment(self) -> Experiment:
        """The experiment, config.yaml without any file."""
        return load_experiment(self.files, ROOT / "config.yaml", self.settings)

    def from_anywhere(self) -> "Given":
        """The same files by their whole paths."""
        return replace(self, files=[Path(file).resolve() for file in self.files])

    def words(self) -> list[str]:
        """The arguments that name the same to snakemake or a command of the workflow."""
        files = ["--configfile", *map(str, self._named())] if self.files else []
        return files + setting_words(self.settings)

    def command(self, name: str = "verify", *, repair: bool = False) -> str:
        """The line that runs a command of the workflow on this experiment: `make`'s where no setting is laid on."""
        if self.settings:
            repairing = ["--repair"] if repair else []
            return shlex.join(["python", "-m", f"workflow.commands.{name}", *self.words(), *repairing])
        config = f"CONFIG={shlex.quote(' '.join(map(str, self._named())))}" if self.files else ""
        return " ".join(filter(None, ("make", name, config, "REPAIR=1" if repair else "")))

    def _named(self) -> list[Path]:
        return [Path(os.path.relpath(path)) if path.is_absolute() else path for path in map(Path, self.files)]
