"""What tests draw at random: streams, first weights, pixels and labelled images, the same in every run."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from stages.core.artifacts import ImageSet

CPU = torch.device("cpu")


def seeded(seed: int = 0) -> Generator:
    """A stream of its own."""
    return Generator().manual_seed(seed)


@contextmanager
def weights_from(seed: int) -> Iterator[None]:
    """Networks made in the block have this seed's first weights; torch's own stream is then given back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def random_states() -> tuple[Any, ...]:
    """Where torch's, Python's and NumPy's own streams stand, to be compared."""
    numpy = np.random.get_state(legacy=False)["state"]
    return torch.get_rng_state().tolist(), random.getstate(), numpy["key"].tolist(), numpy["pos"]


def noise(count: int, seed: int = 0, side: int = 8) -> Tensor:
    """Pixels drawn each for itself, uint8 (count, 3, side, side)."""
    return torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=seeded(seed))


def labelled_images(count: int, seed: int, side: int = 8, classes: tuple[str, ...] = ("a", "b", "c")) -> ImageSet:
    """Noise, the labels of which go round the classes."""
    return ImageSet(noise(count, seed, side), torch.arange(count) % len(classes), classes)
