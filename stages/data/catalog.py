"""From settings to a data set: the source's function, given the user's folder or what was downloaded."""

import contextlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from stages.core.config.data import Data
from stages.core.config.plugins import is_bundled, module_name
from stages.core.errors import ArtifactError
from stages.data.download import downloaded
from stages.data.paths import expand
from stages.data.records import DataSet


@contextlib.contextmanager
def open_data_set(settings: Data, downloads: Path) -> Iterator[DataSet]:
    """Yield the data set, its pixels still to be decoded; unpacked archives are removed at the end.

    With `folder` no network is touched; otherwise official archives are kept below `downloads`.
    """
    source = import_module(module_name("sources", settings.source))
    read = getattr(source, settings.source.replace("-", "_"))
    if is_bundled(settings.source):
        yield read(**settings.settings)
    elif settings.folder is not None:
        folder = expand(settings.folder, "folder")
        if not folder.exists():
            raise ArtifactError(
                f"folder: {folder} does not exist; the files of {settings.source} were looked for there"
            )
        yield read(folder, **settings.settings)
    else:
        with downloaded(source.ARCHIVES, downloads) as folder:
            yield read(folder, **settings.settings)
