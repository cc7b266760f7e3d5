"""Where a user's files are: paths as written in a config, and official files below a folder."""

import os
import re
from pathlib import Path

from stages.core.errors import ArtifactError, ConfigError

UNEXPANDED = re.compile(r"\$(\w+|\{[^}]*\})")


def expand(written: str, key: str) -> Path:
    """The absolute path of a config's `key`: ~ and environment variables expand, the working directory is its base."""
    expanded = os.path.expandvars(written)
    if unset := UNEXPANDED.search(expanded):
        raise ConfigError(f"{key}: '{written}' names {unset.group()}, which is not set; export it or write the path")
    return Path(expanded).expanduser().absolute()


def official_folder(folder: Path, nested: str, names: list[str]) -> Path:
    """The folder that holds all of `names`: `folder` or, as the archive unpacks, folder/nested; else ArtifactError."""
    candidates = [folder / nested, folder]
    for candidate in candidates:
        if all((candidate / name).is_file() for name in names):
            return candidate
    place = next((candidate for candidate in candidates if any((candidate / name).exists() for name in names)), folder)
    missing = [name for name in names if not (place / name).is_file()]
    raise ArtifactError(
        f"{place}: no file {', '.join(missing)} (looked here and in {nested}/); unpack the official files there, "
        "or leave `folder` out to download them"
    )
