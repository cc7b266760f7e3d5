"""From settings to a data set: which reader, and whether its files are the user's or downloaded."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from stages.core.config.data import Data
from stages.core.errors import ArtifactError
from stages.data.download import Archive, downloaded
from stages.data.paths import expand
from stages.data.records import DataSet
from stages.data.sources import cifar10, digits, image_folder, parquet, stl10, svhn, tiny_imagenet

ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "cifar10": cifar10.ARCHIVES,
    "stl10": stl10.ARCHIVES,
    "svhn": svhn.ARCHIVES,
    "tiny-imagenet": tiny_imagenet.ARCHIVES,
}


@contextlib.contextmanager
def open_data_set(settings: Data, downloads: Path) -> Iterator[DataSet]:
    """Yield the data set, its pixels still to be decoded; unpacked archives are removed at the end.

    With `folder` no network is touched; otherwise official archives are kept below `downloads`.
    """
    if settings.source == "digits":
        yield digits.read()
    elif settings.folder is not None:
        folder = expand(settings.folder, "folder")
        if not folder.exists():
            raise ArtifactError(
                f"folder: {folder} does not exist; the files of {settings.source} were looked for there"
            )
        yield _read(settings, folder)
    else:
        with downloaded(ARCHIVES[settings.source], downloads, settings.mirror) as folder:
            yield _read(settings, folder)


def _read(settings: Data, folder: Path) -> DataSet:
    match settings.source:
        case "cifar10":
            return cifar10.read(folder)
        case "stl10":
            return stl10.read(folder, settings.unlabelled)
        case "svhn":
            return svhn.read(folder)
        case "tiny-imagenet":
            return tiny_imagenet.read(folder)
        case "image-folder":
            return image_folder.read(folder)
    return parquet.read(folder, settings.image_column, settings.label_column)
