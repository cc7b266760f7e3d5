"""What a command line names an experiment by: config files, and settings laid on them."""

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
        return [*(["--configfile", *map(str, self.files)] if self.files else []), *setting_words(self.settings)]

    def command(self, name: str = "verify", *, repair: bool = False) -> str:
        """The line that runs a command of the workflow on this experiment, from the project's folder, on results here.

        It is `make`'s where no setting is laid on.
        """
        shown = replace(self, files=[_from_the_project(file) for file in self.files])
        here = _from_the_project(Path.cwd())
        if self.settings:
            more = [*(["--directory", str(here)] if here != Path() else []), *(["--repair"] if repair else [])]
            return shlex.join(["python", "-m", f"workflow.commands.{name}", *shown.words(), *more])
        config = f"CONFIG={shlex.quote(' '.join(map(str, shown.files)))}" if self.files else ""
        directory = f"DIRECTORY={shlex.quote(str(here))}" if here != Path() else ""
        return " ".join(filter(None, ("make", name, config, directory, "REPAIR=1" if repair else "")))


def _from_the_project(path: Path) -> Path:
    """A path as it is named from the project's folder; one that is not whole is named from there already."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
