"""Pictures as the page holds them: small images as PNG, shown without blur, larger ones as WebP to save its bytes."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.core.errors import ArtifactError
from stages.core.job.progress import log_line
from stages.core.pictures import Attacked, Pictures, read_pictures

SMALL = 32  # pixels; up to this an image is stored without loss
QUALITY = 80
LEVELS = 255


@dataclass(frozen=True)
class Shot:
    """An image with what stands under it; wrong: it is outlined."""

    source: str
    words: tuple[str, ...]
    wrong: bool = False
    alt: str = ""


@dataclass(frozen=True)
class Anchor:
    """An anchor, its neighbors, and P_x and each method's Q_x over them: (name, shares in percent).

    first: of its kind.
    """

    kind: str
    first: bool
    image: Shot
    neighbors: tuple[Shot, ...]
    bars: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True)
class Row:
    """One method's adversarial images, each with its perturbation."""

    method: str
    epsilon: str
    images: tuple[tuple[Shot, Shot], ...]


@dataclass(frozen=True)
class Gallery:
    """A data set's pictures."""

    dataset: str
    pixels: int
    anchors: tuple[Anchor, ...]
    clean: tuple[Shot, ...]
    rows: tuple[Row, ...]
    steps: int
    missing: tuple[str, ...]


def galleries(paths: Sequence[str], root: Path, titles: dict[str, str]) -> list[Gallery]:
    """Those of the pictures that are there. titles: of methods and of data sets, by their keys."""
    found = []
    for path in paths:
        try:
            pictures = read_pictures(root / path)
        except ArtifactError as error:
            log_line(f"warning: {error}")
            continue
        dataset = Path(path).parent.name.rpartition("-")[0]
        found.append(_gallery(titles.get(dataset, dataset), pictures, titles))
    return found


def _gallery(dataset: str, pictures: Pictures, titles: dict[str, str]) -> Gallery:
    attacked = pictures.attacked
    names = [titles.get(method, method) for method in pictures.methods]
    return Gallery(
        dataset,
        attacked.images.shape[-1],
        tuple(_anchor(place, pictures, names) for place in range(len(pictures.kinds))),
        tuple(
            Shot(encoded(image), (pictures.classes[label],), alt=f"test image {index}")
            for image, label, index in zip(attacked.images, attacked.labels, attacked.ids, strict=True)
        ),
        tuple(
            Row(name, radius(pictures.epsilons[place]), _under(place, attacked, pictures))
            for place, name in enumerate(names)
        ),
        pictures.steps,
        pictures.missing,
    )


def _anchor(place: int, pictures: Pictures, names: list[str]) -> Anchor:
    near, classes, kind = pictures.neighborhoods, pictures.classes, pictures.kinds[place]
    label = near.labels[place]
    neighbors = tuple(
        Shot(
            encoded(image),
            (classes[theirs], "" if np.isnan(distance) else f"{distance:.3g}"),
            bool(theirs != label),
            f"neighbor {index}, {classes[theirs]}",
        )
        for image, theirs, distance, index in zip(
            near.neighbor_images[place],
            near.neighbor_labels[place],
            near.distances[place],
            near.neighbor_ids[place],
            strict=True,
        )
    )
    shares = [("P", near.p[place]), *zip((f"Q of {name}" for name in names), near.q[:, place], strict=True)]
    bars = tuple((name, tuple(float(100 * share) for share in values)) for name, values in shares)
    image = Shot(encoded(near.images[place]), (classes[label],), alt=f"training image {near.ids[place]}")
    return Anchor(kind, kind not in pictures.kinds[:place], image, neighbors, bars)


def _under(method: int, attacked: Attacked, pictures: Pictures) -> tuple[tuple[Shot, Shot], ...]:
    """Each test image under attack, outlined where the prediction is wrong, and the perturbation beside it."""
    epsilon, classes = pictures.epsilons[method], pictures.classes
    found = []
    for place, label in enumerate(attacked.labels):
        before, after = attacked.predictions[method, place], attacked.adversarial_predictions[method, place]
        words = (
            f"{classes[before]} {100 * attacked.probabilities[method, place]:.0f} %",
            f"→ {classes[after]} {100 * attacked.adversarial_probabilities[method, place]:.0f} %",
        )
        image = Shot(encoded(attacked.adversarial[method, place]), words, bool(after != label), "adversarial image")
        sizes = (f"L∞ {radius(float(attacked.linf[method, place]))}", f"L2 {attacked.l2[method, place]:.3g}")
        change = magnified(attacked.perturbation[method, place].astype(np.float64), epsilon)
        found.append((image, Shot(encoded(change), sizes, alt="its perturbation, magnified")))
    return tuple(found)


def magnified(perturbation: NDArray[np.float64], epsilon: float) -> NDArray[np.uint8]:
    """A perturbation (3, H, W) as an image: gray where nothing changes, black and white at minus and plus epsilon."""
    return np.round(np.clip(perturbation / (2 * epsilon or 1) + 0.5, 0, 1) * LEVELS).astype(np.uint8)


def radius(epsilon: float) -> str:
    """An epsilon in 255ths if it is a whole number of them, else as it is."""
    levels = epsilon * LEVELS
    return f"{round(levels)}/{LEVELS}" if abs(levels - round(levels)) < 1e-2 and round(levels) else f"{epsilon:.3g}"


def encoded(image: NDArray[np.uint8]) -> str:
    """An image (3, H, W) as a data address; one whose channels are alike is stored as gray."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    if (image == image[:1]).all():
        picture = picture.convert("L")
    stream, small = io.BytesIO(), max(image.shape[1:]) <= SMALL
    picture.save(stream, "PNG", optimize=True) if small else picture.save(stream, "WEBP", quality=QUALITY, method=6)
    return f"data:image/{'png' if small else 'webp'};base64,{base64.b64encode(stream.getvalue()).decode()}"
