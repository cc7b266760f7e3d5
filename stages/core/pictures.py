"""What a report shows of images: anchors with their neighbors, and test images under attack.

Safetensors with the words in the header, and there the SHA-256 of arrays and words, as of all tensors
(`stages.core.artifacts`); but this module loads no torch.
"""

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save_file

from stages.core.errors import ArtifactError
from stages.core.files import atomic, canonical_json, digest
from stages.core.manifests import require_file

Array = NDArray[Any]
KINDS = ("good", "typical", "bad")  # of anchors, by how many of their companions carry their label
FILE = "pictures.safetensors"
CURE = "make it again with `snakemake -R pictures`"
UNREADABLE = (
    *(safetensors.SafetensorError, OSError, ValueError, RuntimeError),
    *(LookupError, TypeError, AttributeError, MemoryError),
)
ROUNDED, TOLERANCE = 1 + 2**-10, 1e-6  # by how much a perturbation may exceed its radius in float16, and in float32


@dataclass(frozen=True)
class Neighborhoods:
    """A anchors among the training images, each with its m companions in the order that the structure lists them.

    Row r of q is of method r. Without a structure A and m are 0.
    """

    ids: Annotated[Array, "int64 A"]  # index among the training images
    labels: Annotated[Array, "int64 A"]
    images: Annotated[Array, "uint8 A 3 H W"]
    neighbor_ids: Annotated[Array, "int64 A m"]
    neighbor_labels: Annotated[Array, "int64 A m"]
    neighbor_images: Annotated[Array, "uint8 A m 3 H W"]
    distances: Annotated[Array, "float64 A m"]  # as the search stored them; NaN: a companion that it did not list
    p: Annotated[Array, "float32 A m"]  # P_x (Eq. 2)
    q: Annotated[Array, "float32 M A m"]  # Q_x (Eq. 3) of each method's logits, in eval mode, clean, not augmented


@dataclass(frozen=True)
class Attacked:
    """E test images, and what PGD makes of each for each of M methods, inside the L-infinity ball of its own radius.

    Predictions, probabilities (softmax of the predicted class) and sizes are of the image that the net saw, in float32;
    `adversarial` is that image rounded to be shown, `perturbation` what was added, before any rounding to pixels.
    """

    ids: Annotated[Array, "int64 E"]  # index among the test images
    labels: Annotated[Array, "int64 E"]
    images: Annotated[Array, "uint8 E 3 H W"]
    predictions: Annotated[Array, "int64 M E"]
    probabilities: Annotated[Array, "float32 M E"]
    adversarial: Annotated[Array, "uint8 M E 3 H W"]
    perturbation: Annotated[Array, "float16 M E 3 H W"]  # pixels in [0, 1]
    adversarial_predictions: Annotated[Array, "int64 M E"]
    adversarial_probabilities: Annotated[Array, "float32 M E"]
    linf: Annotated[Array, "float32 M E"]
    l2: Annotated[Array, "float32 M E"]


@dataclass(frozen=True)
class Pictures:
    """Of one data set: its class names by label, M methods with the radius that each is attacked at, and the pictures.

    kinds: of each anchor, one of KINDS. missing: methods whose checkpoint was not there. steps: of PGD.
    """

    classes: tuple[str, ...]
    methods: tuple[str, ...]
    epsilons: tuple[float, ...]
    missing: tuple[str, ...]
    steps: int
    kinds: tuple[str, ...]
    neighborhoods: Neighborhoods
    attacked: Attacked


PARTS = {"neighborhoods": Neighborhoods, "attacked": Attacked}


def write_pictures(path: Path, pictures: Pictures) -> None:
    """Write the pictures of a data set after checking them."""
    check_pictures(pictures, str(path))
    arrays = {name: np.ascontiguousarray(array) for name, array in _arrays(pictures).items()}
    words = {field.name: getattr(pictures, field.name) for field in fields(Pictures) if field.name not in PARTS}
    words |= {"sha256": _content_hash(arrays), "header_sha256": digest(words, 64)}
    with atomic(path) as temporary:
        save_file(arrays, temporary, {"artifact": canonical_json(words)})


def read_pictures(place: Path) -> Pictures:
    """Read pictures by their file or its folder; ArtifactError unless they are whole and in their form."""
    path = place / FILE if place.is_dir() else place
    require_file(path)
    try:
        with safetensors.safe_open(path, framework="np") as stream:
            words = json.loads((stream.metadata() or {})["artifact"])
            arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118, not a dict
        sums = words.pop("sha256"), words.pop("header_sha256")
        parts = {part: _part(form, part, arrays) for part, form in PARTS.items()}
        told: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in words.items()}
        pictures = Pictures(**told, **parts)
        if sums != (_content_hash(arrays), digest(words, 64)):
            raise ArtifactError(f"{path}: the content differs from its checksum; {CURE}")
        check_pictures(pictures, str(path))
        return pictures
    except UNREADABLE as error:
        raise ArtifactError(f"{path}: not a readable file of pictures ({error}); {CURE}") from error


def _part(form: Any, part: str, arrays: dict[str, Array]) -> Any:
    return form(**{field.name: arrays[f"{part}.{field.name}"] for field in fields(form)})


def _arrays(pictures: Pictures) -> dict[str, Array]:
    return {f"{part}.{key}": array for part in PARTS for key, array in vars(getattr(pictures, part)).items()}


def _content_hash(arrays: dict[str, Array]) -> str:
    state = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        state.update(f"{name} {array.dtype} {array.shape}\n".encode())
        state.update(array.tobytes())
    return state.hexdigest()


def check_pictures(pictures: Pictures, name: str) -> None:
    """ArtifactError unless every array has its type and shape, and every value lies in its range."""
    words = (*pictures.classes, *pictures.methods, *pictures.missing, *pictures.kinds)
    lists = (pictures.classes, pictures.methods, pictures.missing, pictures.kinds, pictures.epsilons)
    if not all(isinstance(one, tuple) for one in lists) or not all(isinstance(word, str) for word in words):
        raise ArtifactError(f"{name}: classes, methods and kinds must be lists of texts; {CURE}")
    sizes = {"M": len(pictures.methods), "A": len(pictures.kinds)}
    if len(pictures.epsilons) != sizes["M"] or not set(pictures.kinds) <= set(KINDS):
        raise ArtifactError(f"{name}: every method needs its epsilon, and every anchor one of the kinds {KINDS}")
    arrays = _arrays(pictures)
    for part, form in PARTS.items():
        for key, hint in get_type_hints(form, include_extras=True).items():
            _check_form(arrays[f"{part}.{key}"], hint.__metadata__[0], sizes, f"{name}: {part}.{key}")
    _check_ranges(pictures, name)


def _check_form(array: Array, form: str, sizes: dict[str, int], name: str) -> None:
    """A form is a type and letters for sizes; a letter stands for one number throughout."""
    dtype, *letters = form.split()
    known = [int(letter) if letter.isdigit() else sizes.get(letter, -1) for letter in letters]
    fits = len(known) == array.ndim and all(size in (-1, found) for size, found in zip(known, array.shape, strict=True))
    if array.dtype != dtype or not fits:
        raise ArtifactError(f"{name} must be {form}, with {sizes}; it is {array.dtype} {array.shape}")
    sizes.update({letter: found for letter, found in zip(letters, array.shape, strict=True) if not letter.isdigit()})


def _check_ranges(pictures: Pictures, name: str) -> None:
    near, attacked = pictures.neighborhoods, pictures.attacked
    radii = np.array(pictures.epsilons).reshape(-1, 1)
    labels = [near.labels, near.neighbor_labels, attacked.labels, attacked.predictions]
    labels += [attacked.adversarial_predictions]
    found = {
        "labels and predictions name a class": all(_within(one, 0, len(pictures.classes) - 1) for one in labels),
        "ids count from 0": all(_within(one, 0, np.inf) for one in (near.ids, near.neighbor_ids, attacked.ids)),
        "no anchor is its own neighbor": not (near.neighbor_ids == near.ids[:, None]).any(),
        "distances are not negative": not (near.distances < 0).any() and not np.isinf(near.distances).any(),
        "P_x and Q_x are shares": all(
            _within(one, 0, 1 + 1e-4) and np.allclose(one.sum(-1, dtype=np.float64), 1, atol=1e-4)
            for one in (near.p, near.q)
        ),
        "probabilities lie in [0, 1]": all(
            _within(one, 0, 1 + 1e-5) for one in (attacked.probabilities, attacked.adversarial_probabilities)
        ),
        "perturbations lie in their ball": bool(
            (
                np.abs(attacked.perturbation.astype(np.float64)).max((2, 3, 4), initial=0)
                <= radii * ROUNDED + TOLERANCE
            ).all()
            and (attacked.linf <= radii + TOLERANCE).all()
            and _within(attacked.l2, 0, np.inf)
        ),
    }
    if broken := [rule for rule, held in found.items() if not held]:
        raise ArtifactError(f"{name}: it does not hold that {broken[0]}; {CURE}")


def _within(values: Array, low: float, high: float) -> bool:
    """Whether all values lie in [low, high]; NaN does not."""
    return bool(((values >= low) & (values <= high)).all())
