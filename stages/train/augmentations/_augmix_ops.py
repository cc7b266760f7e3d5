"""AugMix's operations (Hendrycks et al., 2020) on a batch in which every image has its own operation and strength.

Images are uint8 (K, 3, H, W) between operations, as they are in the authors' code, which works on 8-bit pictures.
An operation is one of two things: a tone curve, that is a table (K, 3, 256) of what each level becomes, or a
motion, that is a matrix (K, 2, 3) that sends an output point to the input point it shows, in pixels from the top
left corner. So a step is one look-up for the images with a tone curve and one resampling for those that move.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

TONES = ("autocontrast", "equalize", "posterize", "solarize")
MOTIONS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
OPERATIONS = (*TONES, *MOTIONS)
LEVELS = 256
MOST_SEVERE = 10.0
"""The severity at which an operation's strength is its greatest: 30 degrees, a shear of 0.3, a third of the image."""


def apply_operations(images: Tensor, operations: Tensor, severities: Tensor, signs: Tensor) -> Tensor:
    """Image k under operation OPERATIONS[operations[k]] at its severity.

    images: (K, 3, H, W) uint8; operations: (K,) int64; severities: (K,) in (0, 10]; signs: (K,) of -1 or 1, the way a
    motion goes. These three stay on the device they were drawn on; the images stay on theirs.
    """
    result = images.clone()
    tables: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "autocontrast": lambda chosen, _: autocontrast_tables(chosen),
        "equalize": lambda chosen, _: equalize_tables(chosen),
        "posterize": lambda _, severity: posterize_tables(4 - _whole(severity, 4)),
        "solarize": lambda _, severity: solarize_tables(LEVELS - _whole(severity, LEVELS)),
    }
    for number, name in enumerate(TONES):
        rows = (operations == number).nonzero().squeeze(1)
        if len(rows):
            here = rows.to(images.device, non_blocking=True)
            chosen = images[here]
            result[here] = look_up(chosen, tables[name](chosen, severities[rows].to(images.device, non_blocking=True)))
    rows = (operations >= len(TONES)).nonzero().squeeze(1)
    if len(rows):
        here = rows.to(images.device, non_blocking=True)
        matrices = motion_matrices(operations[rows], severities[rows], signs[rows], *images.shape[2:])
        result[here] = warp(images[here], matrices.to(images.device, non_blocking=True))
    return result


def look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Every level through its image's and channel's table: images (K, 3, H, W) uint8, tables (K, 3 or 1, 256) uint8."""
    flat = images.flatten(2)
    return tables.expand(-1, flat.shape[1], -1).gather(2, flat.long()).view_as(images)


def autocontrast_tables(images: Tensor) -> Tensor:
    """Stretch each channel of images (K, 3, H, W) to the full range; one of a single level stays as it is."""
    flat = images.flatten(2).int()
    low, high = flat.amin(2, keepdim=True), flat.amax(2, keepdim=True)
    levels = torch.arange(LEVELS, dtype=torch.int32, device=images.device)
    stretched = ((levels - low) * (LEVELS - 1)).div((high - low).clamp_min(1), rounding_mode="floor")
    return torch.where(high > low, stretched.clamp(0, LEVELS - 1), levels).to(torch.uint8)


def equalize_tables(images: Tensor) -> Tensor:
    """Flatten each channel's histogram (Pillow's rule); one with too few pixels or levels stays as it is.

    A level becomes (step / 2 + pixels below it) / step, step = (pixels - those of the highest level) / 255, all in
    whole numbers.
    """
    flat = images.flatten(2).long()
    histogram = torch.zeros(*flat.shape[:2], LEVELS, dtype=torch.int64, device=images.device)
    histogram.scatter_add_(2, flat, torch.ones_like(flat))
    highest = histogram.gather(2, flat.amax(2, keepdim=True))
    step = (flat.shape[2] - highest).div(LEVELS - 1, rounding_mode="floor")
    below = histogram.cumsum(2) - histogram
    divisor = step.clamp_min(1)
    flattened = (divisor.div(2, rounding_mode="floor") + below).div(divisor, rounding_mode="floor")
    levels = torch.arange(LEVELS, device=images.device)
    return torch.where(step > 0, flattened.clamp_max(LEVELS - 1), levels).to(torch.uint8)


def posterize_tables(bits: Tensor) -> Tensor:
    """Keep the highest `bits` (K,) of a level's eight: (K, 1, 256)."""
    levels = torch.arange(LEVELS, device=bits.device)
    step = 2 ** (8 - bits.long())[:, None, None]
    return (levels.div(step, rounding_mode="floor") * step).to(torch.uint8)


def solarize_tables(thresholds: Tensor) -> Tensor:
    """Invert the levels from `thresholds` (K,) up: (K, 1, 256)."""
    levels = torch.arange(LEVELS, device=thresholds.device)
    return torch.where(levels >= thresholds[:, None, None], LEVELS - 1 - levels, levels).to(torch.uint8)


def motion_matrices(operations: Tensor, severities: Tensor, signs: Tensor, height: int, width: int) -> Tensor:
    """(K, 2, 3) float64 for operations (K,) of MOTIONS: rotation about the center, shear from the top left, shift."""
    first = len(TONES)
    rotates, shears_x, shears_y, shifts_x, shifts_y = (operations == first + number for number in range(len(MOTIONS)))
    radians = torch.deg2rad(torch.where(rotates, signs * _whole(severities, 30), 0.0))
    cosine, sine = radians.cos(), radians.sin()
    shear = signs * severities * (0.3 / MOST_SEVERE)
    matrices = torch.stack([cosine, -sine, cosine * 0, sine, cosine, cosine * 0], dim=1).view(-1, 2, 3)
    matrices[:, 0, 1] += torch.where(shears_x, shear, 0.0)
    matrices[:, 1, 0] += torch.where(shears_y, shear, 0.0)
    matrices[:, 0, 2] += torch.where(shifts_x, signs * _whole(severities, width / 3), 0.0)
    matrices[:, 1, 2] += torch.where(shifts_y, signs * _whole(severities, height / 3), 0.0)
    center = torch.tensor([width / 2, height / 2], dtype=matrices.dtype, device=matrices.device)
    turned = center - (matrices[:, :, :2] * center).sum(dim=2)
    matrices[:, :, 2] += torch.where(rotates[:, None], turned, 0.0)
    return matrices


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Images (K, 3, H, W) uint8 resampled bilinearly through matrices (K, 2, 3), 0 outside; rounded to uint8."""
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device) + 0.5
    y = torch.arange(height, device=images.device)[:, None] + 0.5
    across, along, shift = matrices.float()[:, :, :, None, None].unbind(2)
    points = across * x + along * y + shift  # (K, 2, H, W): the input point, x first, that each output pixel shows
    size = torch.tensor([width, height]).to(points, non_blocking=True)
    grid = 2 * points.permute(0, 2, 3, 1) / size - 1
    moved = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved.round_().clamp_(0, LEVELS - 1).to(torch.uint8)


def _whole(severities: Tensor, most: float) -> Tensor:
    """The strength at each severity (K,) of an operation that takes whole numbers, `most` at severity 10."""
    return (severities * (most / MOST_SEVERE)).floor()
