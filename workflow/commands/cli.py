"""What the workflow's commands share: the arguments that name an experiment, and errors as one line."""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages.core.errors import ConfigError, StageError
from stages.core.refused import one_line, refused
from workflow.planning.experiment import Experiment
from workflow.planning.given import Given

ROOT = Path(__file__).resolve().parents[2]


def command_line(command: str, description: str) -> argparse.ArgumentParser:
    """A command's argument parser with --configfile, --config and --directory."""
    cli = argparse.ArgumentParser(prog=f"python -m workflow.commands.{command}", description=description)
    cli.add_argument("--configfile", type=Path, nargs="+", default=[], help="experiment and overlays, as for snakemake")
    cli.add_argument("--config", metavar="KEY=VALUE", nargs="+", default=[], help="laid on them, as for snakemake")
    cli.add_argument("--directory", type=Path, default=Path(), help="where results/ and logs/ are, as for snakemake")
    return cli


def given_by(arguments: argparse.Namespace) -> Given:
    """What a command is given to work on; from then on it works in the folder that --directory names.

    ConfigError where there is none. Commands that this one calls find the code there, too.
    """
    given = Given(arguments.configfile, _settings(arguments.config))
    if arguments.directory == Path():
        return given
    if not arguments.directory.is_dir():
        raise ConfigError(f"--directory: {arguments.directory} is no folder")
    given = given.from_anywhere()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    os.chdir(arguments.directory)
    return given


def experiment_of(command: str, description: str, argv: list[str] | None = None) -> Experiment:
    """The experiment that a command's arguments name, config.yaml without any."""
    return given_by(command_line(command, description).parse_args(argv)).experiment()


def _settings(pairs: list[str]) -> dict[str, Any]:
    """Settings as Snakemake reads them; it is not loaded where there are none."""
    if not pairs:
        return {}
    from snakemake.cli import parse_config

    try:
        settings: dict[str, Any] = parse_config(pairs)
    except ValueError as error:
        raise ConfigError(f"--config {shlex.join(pairs)}: {error}") from error
    return settings


def run(main: Callable[[], None]) -> None:
    """Run a command; what the user can cure becomes one line and status 1, and what a command it calls said stands."""
    try:
        main()
    except StageError as error:
        sys.exit(f"error: {one_line(error)}")
    except OSError as error:
        sys.exit(f"error: {one_line(refused(error))}")
    except subprocess.CalledProcessError as error:  # it has said why
        sys.exit(error.returncode if error.returncode > 0 else 1)
