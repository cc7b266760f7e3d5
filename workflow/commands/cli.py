"""What the workflow's commands share: the --configfile argument, and errors as one line."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from stages.core.errors import StageError
from stages.core.refused import one_line, refused
from workflow.planning.experiment import Experiment
from workflow.planning.load import load_experiment

ROOT = Path(__file__).resolve().parents[2]


def command_line(command: str, description: str) -> argparse.ArgumentParser:
    """A command's argument parser with --configfile."""
    cli = argparse.ArgumentParser(prog=f"python -m workflow.commands.{command}", description=description)
    cli.add_argument("--configfile", type=Path, nargs="+", default=[], help="experiment and overlays, as for snakemake")
    return cli


def configfiles(command: str, description: str, argv: list[str] | None = None) -> list[Path]:
    """The files that a command's --configfile names."""
    files: list[Path] = command_line(command, description).parse_args(argv).configfile
    return files


def experiment_of(command: str, description: str, argv: list[str] | None = None) -> Experiment:
    """The experiment that a command's --configfile names, config.yaml without one."""
    return load_experiment(configfiles(command, description, argv), ROOT / "config.yaml")


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
