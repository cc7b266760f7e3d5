"""An anchor's companions: its nearest neighbors, or random training images (the global variant of Table 3)."""

import torch
from torch import Tensor

from stages.core.artifacts import Neighbors
from stages.core.config import StructureChoice
from stages.core.errors import ConfigError, StageError

NUMBERS_AT_ONCE = 2**23
"""Float64 differences held in memory at a time: 64 MiB."""


def companions(choice: StructureChoice, searched: Neighbors, embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """(ids, Euclidean distances), both (N, m), of every anchor's companions; embeddings: (N, D) float32.

    local: the first m of the searched lists. global: m distinct others by `choice.seed`, in the order drawn.
    """
    images, depth = searched.neighbors.shape
    if len(embeddings) != images:
        raise StageError(
            f"--neighbors lists {images} images and --embeddings holds {len(embeddings)}; "
            "rebuild the lists with `snakemake -R neighbors`"
        )
    if choice.kind == "local":
        if choice.m > depth:
            raise ConfigError(
                f"m: {choice.m} is more than the {depth} neighbors searched; raise `depth` to {choice.m} or lower m"
            )
        return searched.neighbors[:, : choice.m], searched.distances[:, : choice.m]
    ids = random_others(images, choice.m, torch.Generator().manual_seed(choice.seed))
    return ids, distances_to(ids, embeddings)


def random_others(images: int, m: int, generator: torch.Generator) -> Tensor:
    """m distinct ids for each of N anchors, never its own, every set equally likely: (N, m) int64.

    Floyd's sampling (Bentley and Floyd, 1987), one column at a time for all anchors: m N draws instead of N^2.
    """
    if m >= images:
        raise ConfigError(f"m: {m} companions need {m + 1} images or more, and there are {images}; lower m")
    others = images - 1
    drawn = torch.full((images, m), -1)
    for column, top in enumerate(range(others - m, others)):
        draw = torch.randint(top + 1, (images,), generator=generator, device=generator.device).cpu()
        taken = (drawn == draw.unsqueeze(1)).any(dim=1)
        drawn[:, column] = torch.where(taken, top, draw)
    return drawn + (drawn >= torch.arange(images).unsqueeze(1))  # ids from the anchor's own on move up by one


def distances_to(ids: Tensor, embeddings: Tensor) -> Tensor:
    """Euclidean distances from anchor i's embedding to those of ids[i], by direct differences: (N, m) float64.

    ids: (N, m); embeddings: (N, D).
    """
    distances = torch.empty(ids.shape, dtype=torch.float64)
    rows = max(1, NUMBERS_AT_ONCE // (ids.shape[1] * embeddings.shape[1]))
    for start in range(0, len(ids), rows):
        part = slice(start, start + rows)
        differences = embeddings[ids[part]].double() - embeddings[part].double().unsqueeze(1)
        distances[part] = differences.square_().sum(dim=2).sqrt_()
    return distances
