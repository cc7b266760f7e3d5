"""MoCo pre-training on small images (He et al., 2020), after its authors' CIFAR demo.

Batch norm must not tell a query which key is its own, so keys are computed in a mixed order and normalized within
`splits` groups; `split` normalizes the queries in groups too, as the demo does, `shuffle` over their whole batch.
The learning rate is annealed by a cosine (`learning_rate`), the weights are drawn as `Moco.initialization` says.
"""

import copy
import math
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from stages.core.artifacts import ImageSet
from stages.core.config.moco import Moco
from stages.core.errors import ArtifactError, ConfigError
from stages.core.images.pixels import to_unit
from stages.core.job.epochs import Epoch, course
from stages.core.job.progress import log_line
from stages.features.contrast import Queue
from stages.features.embed import embed
from stages.features.knn import knn_accuracy
from stages.features.network import initialize_as_demo, moco_encoder, pixel_statistics, split_batch_norm
from stages.features.state import PretrainState
from stages.features.step import train_step


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

    saved: file of the state; run: the digest that a state must carry to be taken up.
    """
    images = training_images(train, unlabelled)
    check(settings, len(images))
    state = begin(settings, seed, images)
    steps = len(images) // settings.batch_size
    cure = f"lower moco.lr (given: {settings.lr})"
    with course(state, saved, run, what="MoCo epoch", epochs=settings.epochs, loss="MoCo's loss", cure=cure) as left:
        for epoch in left.epochs(lambda: begin_epoch(state, images, steps)):
            number = state.epoch + 1
            lr = learning_rate(settings, number)
            prepare(state, lr)
            for _ in left.steps(epoch):
                chosen = epoch.batch(settings.batch_size)
                epoch.record({"loss": train_step(settings, state, to_unit(images[chosen]))})
            loss, accuracy = float(epoch.metrics["loss"].double().mean()), math.nan
            if number % settings.monitor_epochs == 0 or number == settings.epochs:
                accuracy = monitor(settings, state, train, test)
            with left.finishing(epoch, {"loss": loss, "lr": lr, "knn_accuracy": accuracy}):
                pass
    return state


def learning_rate(settings: Moco, number: int) -> float:
    """lr * (1 + cos(pi * e / E)) / 2 in epoch `number` (1 to E); e counts from 1 with anneal_to_zero, else from 0."""
    passed = number if settings.anneal_to_zero else number - 1
    return settings.lr * (1 + math.cos(math.pi * passed / settings.epochs)) / 2


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
    """ConfigError unless a batch can be drawn from the images."""
    if settings.batch_size > num_images:
        raise ConfigError(
            f"moco.batch_size: {settings.batch_size} is more than the {num_images} images to train on; lower it"
        )


def begin(settings: Moco, seed: int, images: Tensor) -> PretrainState:
    """The state before the first epoch: the key encoder a copy of the query encoder, the queue random directions."""
    query = moco_encoder(**architecture(settings))
    if settings.initialization == "torchvision":
        initialize_as_demo(query)
    query.to(images.device)
    mean, std = pixel_statistics(images)
    query.mean.copy_(mean.view_as(query.mean))
    query.std.copy_(std.view_as(query.std))
    key = copy.deepcopy(query)
    split_batch_norm(query, settings.splits if settings.batch_norm == "split" else 1)
    split_batch_norm(key, settings.splits)
    key.requires_grad_(False)
    size = min(settings.queue, max(1, len(images) // 2))
    if size < settings.queue:
        log_line(f"moco.queue: {settings.queue} is cut to {size}, half of the {len(images)} images")
    generator = Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(
        query.parameters(), settings.lr, settings.momentum, weight_decay=settings.weight_decay, foreach=True
    )
    return PretrainState(query, key, Queue(size, settings.dim, generator, images.device), optimizer, generator)


def begin_epoch(state: PretrainState, images: Tensor, steps: int) -> Epoch:
    """One pass over the images in a random order, the incomplete batch dropped."""
    order = torch.randperm(len(images), generator=state.generator).to(images.device)
    return Epoch(order, steps)


def prepare(state: PretrainState, lr: float) -> None:
    """Both encoders in train mode, and the optimizer at the epoch's learning rate."""
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.query.train()
    state.key.train()


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
