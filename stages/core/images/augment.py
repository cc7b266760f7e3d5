"""Random augmentations of a whole batch, drawn for each image apart, on whatever device the images are.

Images are float (B, 3, H, W) in [0, 1] and stay in [0, 1]. Distributions and formulas are those of torchvision's
transforms of the same names; with `crop_flip` also after He et al. (2016a). Those cannot be used themselves: they draw
one parameter for a whole batch, from the global random state. Here every image has its own, drawn from `generator` on
the generator's own device, so one on the CPU gives the same parameters to images on any device, and decides without
waiting for it.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from stages.core.images.pixels import over_pixels

CROP_ATTEMPTS = 10
FLIP_PROBABILITY = 0.5
LUMA = (0.2989, 0.587, 0.114)
RATIO = (3 / 4, 4 / 3)  # of a crop's width to its height
SIGMA = (0.1, 2.0)  # of a blur, in pixels


def crop_flip(images: Tensor, generator: Generator, *, padding: int, flip: bool) -> Tensor:
    """Crops (B, 3, H, W) at uniform offsets of the images framed by `padding` zeros; half are mirrored if `flip`."""
    count, channels, height, width = images.shape
    offsets = torch.randint(2 * padding + 1, (2, count, 1), generator=generator, device=generator.device)
    top, left = offsets.to(images.device, non_blocking=True)
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.arange(width, device=images.device)
    if flip:
        mirrored = _bernoulli(images, generator, FLIP_PROBABILITY).to(images.device, non_blocking=True)
        columns = torch.where(mirrored.unsqueeze(1), columns.flip(1), columns)
    pixels = (rows.unsqueeze(2) * (width + 2 * padding) + columns.unsqueeze(1)).view(count, 1, -1)
    framed = F.pad(images, (padding,) * 4).flatten(2)
    return framed.gather(2, pixels.expand(-1, channels, -1)).view_as(images)


def horizontal_flip(images: Tensor, generator: Generator, *, probability: float = FLIP_PROBABILITY) -> Tensor:
    """Each image mirrored left to right with the given probability."""
    mirrored = _bernoulli(images, generator, probability).to(images.device, non_blocking=True)
    return torch.where(over_pixels(mirrored), images.flip(3), images)


def random_resized_crop(images: Tensor, generator: Generator, *, scale: tuple[float, float]) -> Tensor:
    """A random box of each image, resized bilinearly to the image's size. scale: bounds of its share of the area."""
    boxes = crop_boxes(len(images), images.shape[2], images.shape[3], generator, scale=scale)
    top, left, height, width = boxes.to(images, non_blocking=True).unbind(1)
    rows = _sampled(top, height, images.shape[2])
    columns = _sampled(left, width, images.shape[3])
    grid = torch.stack(torch.broadcast_tensors(columns[:, None, :], rows[:, :, None]), dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False).clamp(0.0, 1.0)


def crop_boxes(
    count: int,
    height: int,
    width: int,
    generator: Generator,
    *,
    scale: tuple[float, float],
) -> Tensor:
    """Boxes (count, 4) int64 as top, left, height, width, of torchvision's RandomResizedCrop.

    The ratio of width to height is log-uniform in RATIO. Of ten tries the first box that fits is taken; where none
    does, the largest central box of a legal ratio.
    """
    share, shape, down, right = torch.rand(
        (4, count, CROP_ATTEMPTS), generator=generator, device=generator.device, dtype=torch.float64
    )
    area = height * width * (scale[0] + share * (scale[1] - scale[0]))
    log_low, log_high = map(math.log, RATIO)
    aspect = (log_low + shape * (log_high - log_low)).exp()
    widths, heights = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    tops, lefts = (down * (height - heights + 1)).floor(), (right * (width - widths + 1)).floor()
    tries = torch.stack([tops, lefts, heights, widths], dim=2).long()
    first = tries[torch.arange(count, device=tries.device), fits.long().argmax(dim=1)]
    central_width = min(width, round(height * RATIO[1]))
    central_height = min(height, round(width / RATIO[0]))
    central = [(height - central_height) // 2, (width - central_width) // 2, central_height, central_width]
    return torch.where(fits.any(dim=1, keepdim=True), first, torch.tensor(central, device=tries.device))


def color_jitter(
    images: Tensor,
    generator: Generator,
    *,
    strengths: tuple[float, float, float, float],
    probability: float,
) -> Tensor:
    """Brightness, contrast, saturation and hue changed by random factors in a random order, of each image by its own.

    strengths: in that order; the first three draw a factor from [max(0, 1 - s), 1 + s], hue a shift from [-s, s]
    of the full circle. probability: that an image is changed at all.
    """
    jittered = _bernoulli(images, generator, probability)
    unit = torch.rand((4, len(images)), generator=generator, device=generator.device)
    order = torch.rand((len(images), 4), generator=generator, device=generator.device).argsort(dim=1)
    out = images.clone()
    for turn in range(4):
        for kind, (adjust, strength) in enumerate(zip(ADJUSTMENTS, strengths, strict=True)):
            if strength == 0:
                continue
            low = -strength if adjust is adjust_hue else max(0.0, 1 - strength)
            high = strength if adjust is adjust_hue else 1 + strength
            chosen = (jittered & (order[:, turn] == kind)).nonzero().squeeze(1)
            factors = (low + unit[kind, chosen] * (high - low)).to(images, non_blocking=True)
            chosen = chosen.to(images.device, non_blocking=True)
            out[chosen] = adjust(out[chosen], factors)
    return out


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Images times factors (B,), cut to [0, 1]."""
    return (images * over_pixels(factors)).clamp(0.0, 1.0)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with each image's mean gray: factor 0 is that gray, 1 the image."""
    return _blend(images, luminance(images).mean(dim=(2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with each image's gray version: factor 0 is gray, 1 the image."""
    return _blend(images, luminance(images), factors)


def adjust_hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Hue turned by shifts (B,), in full circles; saturation and value (HSV) stay."""
    red, green, blue = images.unbind(1)
    value, lead = images.max(dim=1)
    chroma = value - images.amin(dim=1)
    safe = torch.where(chroma > 0, chroma, 1.0)
    sectors = torch.stack([(green - blue) / safe, 2 + (blue - red) / safe, 4 + (red - green) / safe], dim=1)
    hue = sectors.gather(1, lead.unsqueeze(1)) + 6 * over_pixels(shifts)
    offsets = torch.tensor([5.0, 3.0, 1.0]).to(images, non_blocking=True).view(1, 3, 1, 1)
    turn = (hue + offsets).remainder(6)
    fall = torch.minimum(turn, 4 - turn).clamp(0.0, 1.0)
    return (value.unsqueeze(1) - chroma.unsqueeze(1) * fall).clamp(0.0, 1.0)


ADJUSTMENTS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    adjust_hue,
)


def grayscale(images: Tensor, generator: Generator, *, probability: float) -> Tensor:
    """Each image made gray, in three equal channels, with the given probability."""
    gray = _bernoulli(images, generator, probability).to(images.device, non_blocking=True)
    return torch.where(over_pixels(gray), luminance(images), images)


def gaussian_blur(images: Tensor, generator: Generator, *, probability: float) -> Tensor:
    """Each image blurred with the given probability, its sigma uniform in SIGMA."""
    chosen = _bernoulli(images, generator, probability).nonzero().squeeze(1)
    unit = torch.rand(len(images), generator=generator, device=generator.device)
    sigmas = (SIGMA[0] + unit[chosen] * (SIGMA[1] - SIGMA[0])).to(images, non_blocking=True)
    out = images.clone()
    if len(chosen) > 0:
        chosen = chosen.to(images.device, non_blocking=True)
        out[chosen] = blur(out[chosen], sigmas, radius=math.ceil(3 * SIGMA[1]))
    return out


def blur(images: Tensor, sigmas: Tensor, *, radius: int) -> Tensor:
    """Gaussian blur with sigmas (B,) in pixels over 2 * radius + 1 taps, edges reflected; radius < min(H, W) holds."""
    radius = min(radius, min(images.shape[2:]) - 1)
    distance = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    taps = (-0.5 * (distance / sigmas.unsqueeze(1)).square()).softmax(dim=1)
    kernels = taps.repeat_interleave(images.shape[1], dim=0)
    planes = F.pad(images, (radius,) * 4, mode="reflect").flatten(0, 1).unsqueeze(0)
    planes = F.conv2d(planes, kernels[:, None, None, :], groups=len(kernels))
    planes = F.conv2d(planes, kernels[:, None, :, None], groups=len(kernels))
    return planes.view_as(images).clamp(0.0, 1.0)


def luminance(images: Tensor) -> Tensor:
    """Gray (B, 1, H, W) by the weights of ITU-R 601."""
    red, green, blue = images.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).unsqueeze(1)


def _blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    share = over_pixels(factors)
    return (share * images + (1 - share) * others).clamp(0.0, 1.0)


def _sampled(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Coordinates (B, size) in grid_sample's [-1, 1] of `size` pixel centers spread over [start, start + length)."""
    centers = torch.arange(size, device=start.device, dtype=start.dtype) + 0.5
    within = (centers * length.unsqueeze(1) / size - 0.5).clamp_min(0.0)
    position = start.unsqueeze(1) + torch.minimum(within, length.unsqueeze(1) - 1)
    return (2 * position + 1) / size - 1


def _bernoulli(images: Tensor, generator: Generator, probability: float) -> Tensor:
    """(B,) bool on the generator's device, True with the given probability."""
    return torch.rand(len(images), generator=generator, device=generator.device) < probability
