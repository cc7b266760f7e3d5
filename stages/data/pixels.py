"""From encoded images to one uint8 tensor: decoding, resizing and stacking, each image once."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, features
from torch import Tensor

from stages.core.errors import ArtifactError, ConfigError
from stages.core.progress import progress

Pixels = NDArray[np.uint8]
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # no format whose decoder starts another program
DEEP_MODES = ("I", "F")
DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def decode_image(encoded: bytes, name: str) -> Pixels:
    """Pixels (H, W, 3) uint8 of an encoded image; grayscale becomes three equal channels, transparency is dropped.

    Raises ArtifactError naming the image if its bytes are damaged, or if it has more than 8 bits a channel, which
    a conversion would clip without a word.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            if image.mode.split(";")[0] in DEEP_MODES:
                raise ArtifactError(f"{name}: more than 8 bits a channel (mode {image.mode}); convert it to 8 bits")
            return np.asarray(image.convert("RGB"))
    except DECODER_ERRORS as error:
        raise ArtifactError(f"{name}: not a readable image ({error}); replace it or take it out") from error


def square(pixels: Pixels, size: int) -> Pixels:
    """The largest centered square of (H, W, 3), scaled to (size, size, 3); an image of that size comes back as it is.

    Shrinking by a whole factor averages each block of pixels (box filter); any other scale is Pillow's bicubic, whose
    support widens with the factor, so it does not alias.
    """
    height, width = pixels.shape[:2]
    if height == width == size:
        return pixels
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    resampling = Image.Resampling.BOX if side % size == 0 else Image.Resampling.BICUBIC
    image = Image.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return np.asarray(image.resize((size, size), resampling))


def stack(
    rows: Sequence[int], pixels: Callable[[int], Pixels], where: Callable[[int], str], size: int | None, what: str
) -> Tensor:
    """Images (len(rows), 3, H, W) uint8 of pixels(row) (H, W, 3), squared to `size` if it is given.

    Raises ConfigError if sizes are mixed and no size is given, naming the first image that differs.
    """
    stacked: Pixels | None = None
    for position, row in enumerate(progress(rows, what, len(rows))):
        image = pixels(row) if size is None else square(pixels(row), size)
        channels_first = image.transpose(2, 0, 1)
        if stacked is None:
            stacked = np.empty((len(rows), *channels_first.shape), np.uint8)
        elif stacked.shape[1:] != channels_first.shape:
            raise ConfigError(
                f"{where(row)}: {shape(channels_first)} pixels where the images before it have {shape(stacked)}; "
                "set image_size to bring all to one size"
            )
        stacked[position] = channels_first
    if stacked is None:
        raise ArtifactError(f"{what}: no images; look at the source's files")
    return torch.from_numpy(stacked)


def decoder_versions() -> dict[str, str | None]:
    """Pillow and its JPEG library: another one may decode the same file to other pixels."""
    return {"pillow": version("pillow"), "jpeg": features.version("jpg")}


def shape(images: Pixels | Tensor) -> str:
    """The last two dimensions in words, height first: '32x48'."""
    return "x".join(str(side) for side in images.shape[-2:])
