"""MoCo pre-training on small images (He et al., 2020), after its authors' CIFAR demo.

Batch norm must not tell a query which key is its own, so keys are computed in a mixed order and normalized within
`splits` groups; `split` normalizes the queries in groups too, as the demo does, `shuffle` over their whole batch.
The learning rate of epoch e (from 0) of E is lr * (1 + cos(pi * e / E)) / 2.
"""

import copy
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from stages.core.artifacts import ImageSet
from stages.core.augment import color_jitter, gaussian_blur, grayscale, horizontal_flip, random_resized_crop
from stages.core.config import Moco
from stages.core.errors import ArtifactError, ConfigError, DivergenceError
from stages.core.progress import progress, say
from stages.features.contrast import Queue, follow, info_nce, shuffled_keys
from stages.features.embed import embed
from stages.features.knn import knn_accuracy
from stages.features.network import PIXEL_MAX, moco_encoder, pixel_statistics, split_batch_norm
from stages.features.state import PretrainState


def architecture(settings: Moco) -> dict[str, Any]:
    """What `moco_encoder` needs to build the network."""
    return {
        "backbone": "resnet18",
        "width": settings.width,
        "dim": settings.dim,
        "head_layers": settings.head_layers,
    }


def pretrain(
    settings: Moco, seed: int, train: ImageSet, test: ImageSet, unlabelled: ImageSet | None, saved: Path, run: str
) -> PretrainState:
    """Train on the images of `train` and `unlabelled`; the device is that of `train`'s images.

    saved: file of the state after the last finished epoch; run: the digest that a state must carry to be taken up.
    """
    images = training_images(train, unlabelled)
    check(settings, len(images))
    state = begin(settings, seed, images)
    state.restore(saved, run)
    while state.epoch < settings.epochs:
        started = time.monotonic()
        lr = settings.lr * (1 + math.cos(math.pi * state.epoch / settings.epochs)) / 2
        loss = train_epoch(settings, state, images, lr)
        accuracy = math.nan
        if state.epoch % settings.monitor_epochs == 0 or state.epoch == settings.epochs:
            accuracy = monitor(settings, state, train, test)
            say(f"MoCo epoch {state.epoch}/{settings.epochs}: loss {loss:.4f}, kNN accuracy {accuracy:.4f}")
        row = {"epoch": state.epoch, "loss": loss, "lr": lr, "knn_accuracy": accuracy}
        state.history.append({**row, "seconds": time.monotonic() - started})
        state.save(saved, run)
    return state


def training_images(train: ImageSet, unlabelled: ImageSet | None) -> Tensor:
    """All images to pre-train on, uint8 (N, 3, H, W)."""
    if unlabelled is None:
        return train.images
    if unlabelled.images.shape[1:] != train.images.shape[1:]:
        sizes = [" x ".join(map(str, part.images.shape[2:])) for part in (unlabelled, train)]
        raise ArtifactError(
            f"unlabelled images are {sizes[0]} and training images {sizes[1]}; prepare both at one size"
        )
    return torch.cat([train.images, unlabelled.images])


def check(settings: Moco, num_images: int) -> None:
    """ConfigError unless a batch can be drawn from the images and divided into groups of two or more."""
    if settings.batch_size > num_images:
        raise ConfigError(
            f"moco.batch_size: {settings.batch_size} is more than the {num_images} images to train on; lower it"
        )
    if settings.batch_size % settings.splits or settings.batch_size < 2 * settings.splits:
        raise ConfigError(
            f"moco.splits: {settings.splits} groups of equal size, two images or more, "
            f"do not make a batch of {settings.batch_size}; choose a divisor of at most half of it"
        )


def begin(settings: Moco, seed: int, images: Tensor) -> PretrainState:
    """The state before the first epoch: the key encoder a copy of the query encoder, the queue random directions."""
    query = moco_encoder(**architecture(settings)).to(images.device)
    mean, std = pixel_statistics(images)
    query.mean.copy_(mean.view_as(query.mean))
    query.std.copy_(std.view_as(query.std))
    key = copy.deepcopy(query)
    split_batch_norm(query, settings.splits if settings.batch_norm == "split" else 1)
    split_batch_norm(key, settings.splits)
    key.requires_grad_(False)
    size = min(settings.queue, max(1, len(images) // 2))
    if size < settings.queue:
        say(f"moco.queue: {settings.queue} is cut to {size}, half of the {len(images)} images")
    generator = Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(
        query.parameters(), lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    return PretrainState(query, key, Queue(size, settings.dim, generator, images.device), optimizer, generator)


def train_epoch(settings: Moco, state: PretrainState, images: Tensor, lr: float) -> float:
    """One pass over the images in a fresh order, the incomplete batch dropped; the mean loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.query.train()
    state.key.train()
    order = torch.randperm(len(images), generator=state.generator).to(images.device)
    steps = len(images) // settings.batch_size
    losses = torch.zeros(steps, dtype=torch.float64, device=images.device)
    what = f"MoCo epoch {state.epoch + 1}/{settings.epochs}"
    for step in progress(range(steps), what, steps):
        chosen = order[step * settings.batch_size : (step + 1) * settings.batch_size]
        losses[step] = train_step(settings, state, images[chosen].float() / PIXEL_MAX)
    if not bool(losses.isfinite().all()):
        step = int((~losses.isfinite()).nonzero()[0])
        raise DivergenceError(
            f"MoCo's loss is {float(losses[step])} in epoch {state.epoch + 1}, step {step + 1}; "
            f"lower moco.lr (given: {settings.lr})"
        )
    state.epoch += 1
    return float(losses.mean())


def train_step(settings: Moco, state: PretrainState, images: Tensor) -> Tensor:
    """One update on images (B, 3, H, W) in [0, 1]: the key encoder follows, the query encoder steps, keys are queued.

    symmetric: each view is query once and key once, and the two losses are added, as in the demo.
    """
    first, second = (view(images, state.generator, settings) for _ in range(2))
    follow(state.key, state.query, momentum=settings.key_momentum)
    pairs = [(first, second), (second, first)] if settings.symmetric else [(first, second)]
    keys = [shuffled_keys(state.key, other, state.generator) for _, other in pairs]
    loss = torch.zeros((), device=images.device)
    for (shown, _), matching in zip(pairs, keys, strict=True):
        loss = loss + info_nce(state.query(shown), matching, state.queue.keys, temperature=settings.temperature)
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


def monitor(settings: Moco, state: PretrainState, train: ImageSet, test: ImageSet) -> float:
    """kNN accuracy on the test images by the L2-normalized head output, as in the demo, training images as the bank."""
    bank, queries = (
        embed(
            state.query,
            part.images,
            embedding="head",
            batch_size=settings.batch_size,
            device=train.images.device,
        )
        for part in (train, test)
    )
    return knn_accuracy(
        bank,
        train.labels.to(bank.device),
        queries,
        test.labels.to(bank.device),
        neighbors=settings.knn,
        temperature=settings.knn_temperature,
    )
