"""One step of MoCo pre-training (He et al., 2020): two random views of each image, a loss, the updates."""

from functools import partial

import torch
from torch import Generator, Tensor

from stages.core.config.moco import Moco
from stages.core.images.augment import color_jitter, gaussian_blur, grayscale, horizontal_flip, random_resized_crop
from stages.core.models.precision import at_precision, tf32
from stages.features.contrast import info_nce, momentum_update, shuffled_keys
from stages.features.state import PretrainState


def train_step(settings: Moco, state: PretrainState, images: Tensor) -> Tensor:
    """One update on images (B, 3, H, W) in [0, 1]: the key encoder follows, the query encoder steps, keys are queued.

    symmetric: each view is query once and key once, and the two losses are added, as in the demo.
    """
    first, second = (view(images, state.generator, settings) for _ in range(2))
    momentum_update(state.key, state.query, momentum=settings.key_momentum)
    pairs = [(first, second), (second, first)] if settings.symmetric else [(first, second)]
    query, key = (partial(at_precision, network, precision=settings.precision) for network in (state.query, state.key))
    with tf32(settings.tf32):
        keys = [shuffled_keys(key, other, state.generator) for _, other in pairs]
        loss = torch.zeros((), device=images.device)
        for (shown, _), matching in zip(pairs, keys, strict=True):
            loss = loss + info_nce(query(shown), matching, state.queue.keys, temperature=settings.temperature)
        state.optimizer.zero_grad()
        loss.backward()
    state.optimizer.step()
    state.queue.push(torch.cat(keys))
    return loss.detach()


def view(images: Tensor, generator: Generator, settings: Moco) -> Tensor:
    """One random view of each image: crop, flip, color jitter, gray, blur."""
    images = random_resized_crop(images, generator, scale=(settings.crop_scale, 1.0))
    if settings.flip:
        images = horizontal_flip(images, generator)
    images = color_jitter(images, generator, strengths=settings.jitter, probability=settings.jitter_probability)
    images = grayscale(images, generator, probability=settings.gray_probability)
    return gaussian_blur(images, generator, probability=settings.blur_probability)
