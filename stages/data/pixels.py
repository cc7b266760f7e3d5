"""From encoded images to one uint8 tensor: decoding, resizing and stacking, each image once."""

import io
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError, features
from torch import Tensor

from stages.core.ceilings import PIXELS, require_below
from stages.core.errors import ArtifactError, ConfigError
from stages.core.job.progress import log_line, progress
from stages.core.refused import one_line

Pixels = NDArray[np.uint8]
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # no format whose decoder starts another program
DEEP_MODES = ("I", "F")
Image.MAX_IMAGE_PIXELS = None  # `decode_image` has a ceiling of its own, lower, and of one number for all formats
BITS_PER_SAMPLE = 258  # the TIFF tag
UPRIGHT: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What stands an image upright, by its EXIF orientation (CIPA DC-008, tag 274); 1 is upright, others mean nothing."""

ORIENTED, ANIMATIONS = "oriented", "animations"


def decode_image(encoded: bytes, name: str, noted: Counter[str]) -> Pixels:
    """Pixels (H, W, 3) uint8 of an encoded image, upright as its EXIF orientation asks.

    Grayscale becomes three equal channels and transparency is dropped. Of several frames (an animation, the pages of
    a TIFF) the first is taken, which is said once. `noted` counts the images ORIENTED otherwise and the ANIMATIONS.

    Raises ArtifactError naming the image if its bytes are damaged, or if it has more than 8 bits a channel, which
    a conversion would cut without a word.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            require_below(image.width * image.height, PIXELS, name, "pixels")
            if is_deep(image):
                raise ArtifactError(f"{name}: more than 8 bits a channel (mode {image.mode}); convert it to 8 bits")
            if getattr(image, "is_animated", False):
                if not noted[ANIMATIONS]:
                    log_line(f"{name}: holds several frames; the first is taken, here and in others like it")
                noted[ANIMATIONS] += 1
            noted[ORIENTED] += orientation(image) in UPRIGHT
            image.load()  # which turns a TIFF, and takes its tag away
            turn = UPRIGHT.get(orientation(image))
            return np.asarray((image if turn is None else image.transpose(turn)).convert("RGB"))
    except UnidentifiedImageError as error:
        reason = f"none of {', '.join(FORMATS)}" if encoded else "it is empty"
        raise ArtifactError(f"{name}: not a readable image ({reason}); replace it or take it out") from error
    except ArtifactError:
        raise
    except Exception as error:  # whatever goes wrong inside a decoder, the bytes are to blame
        raise ArtifactError(f"{name}: not a readable image ({one_line(error)}); replace it or take it out") from error


def orientation(image: Image.Image) -> int:
    """The EXIF orientation as the file has it, meant to be 1 to 8; 1 where there is none."""
    stored = image.getexif().get(ExifTags.Base.Orientation)
    return stored if isinstance(stored, int) else 1


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether an opened image, not yet loaded, has more than 8 bits a channel; Pillow's 8-bit mode may hide it."""
    if image.mode.split(";")[0] in DEEP_MODES:
        return True
    if image.format == "TIFF":
        return max(getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (1,))) > 8
    stored = [part for tile in image.tile for part in (tile.args if isinstance(tile.args, tuple) else (tile.args,))]
    if image.format == "PPM":
        return any(isinstance(part, int) and part > 255 for part in stored)  # the largest value
    return image.format == "PNG" and any(str(part).endswith(";16B") for part in stored)


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
