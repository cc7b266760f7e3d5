"""From a data set to image sets: classes settled, subsets drawn, and only the images that are kept decoded."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from stages.core.artifacts import ImageSet
from stages.core.config.data import Data
from stages.core.config.known import Known
from stages.core.config.needs import Needs
from stages.core.errors import ConfigError
from stages.core.job.progress import log_line
from stages.data.classes import settled
from stages.data.pixels import ANIMATIONS, ORIENTED, shape, stack
from stages.data.records import DataSet, Records
from stages.data.subset import proportional_rows


def decode(data: DataSet, settings: Data, needs: Needs | None = None) -> dict[str, ImageSet]:
    """Image sets by name: train, test, and unlabelled (labels -1) if the data set has it.

    Raises ArtifactError for a bad label or image, ConfigError for a subset too large, for sizes that differ, and for
    what `needs` asks for in vain: before an image is decoded, but for their size. A class that the subset leaves
    without training images is told in a line.
    """
    data = settled(data)
    rows = {
        name: proportional_rows(
            records.labels, keep, torch.Generator().manual_seed(settings.subset_seed), f"{name}_images"
        )
        for name, records, keep in (
            ("train", data.train, settings.train_images),
            ("test", data.test, settings.test_images),
        )
    }
    if lost := len(data.classes) - len(np.unique(data.train.labels[rows["train"]])):
        log_line(f"train_images: {settings.train_images} leaves {lost} of {len(data.classes)} classes without an image")
    if data.unlabelled is not None:
        rows["unlabelled"] = np.arange(len(data.unlabelled.labels))
    have = Known(**{name: len(kept) for name, kept in rows.items()}, classes=len(data.classes))
    require(needs, replace(have, side=settings.image_size))
    decoded = {
        name: _image_set(records, rows[name], data.classes, settings.image_size, f"decoding {name}")
        for name, records in data.splits.items()
    }
    sizes = {name: shape(images.images) for name, images in decoded.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ConfigError(f"image_size: the splits differ in size ({told}); set it to bring all to one size")
    require(needs, replace(have, side=min(decoded["train"].images.shape[2:])))
    return decoded


def require(needs: Needs | None, have: Known) -> None:
    """ConfigError where a plan asks of the data set what it does not have; each fault is a line of the log."""
    if needs is not None and (unmet := needs.unmet(have)):
        for line in unmet[:-1]:
            log_line(line)
        raise ConfigError(unmet[-1])


def image_set_facts(images: ImageSet, noted: Counter[str]) -> dict[str, Any]:
    """What the manifest keeps of a set: its size, its content hash, and the images of each class by label.

    noted: what its records' decoding counted, kept too: images turned upright, and those of several frames.
    """
    counts = torch.bincount(images.labels.clamp(min=0), minlength=len(images.classes))
    labelled = bool((images.labels >= 0).all())
    return {
        "images": len(images.images),
        "shape": list(images.images.shape[1:]),
        "content_hash": images.content_hash(),
        "class_counts": counts.tolist() if labelled else [],
        **{name: noted[name] for name in (ORIENTED, ANIMATIONS)},
    }


def _image_set(records: Records, rows: np.ndarray, classes: tuple[str, ...], size: int | None, what: str) -> ImageSet:
    images = stack(rows.tolist(), records.pixels, records.where, size, what)
    return ImageSet(images, torch.from_numpy(records.labels[rows].copy()), classes)
