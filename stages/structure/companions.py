"""An anchor's companions: its nearest neighbors, or random training images (the global variant of Table 3)."""

import torch
from torch import Tensor

from stages.core.artifacts import Neighbors
from stages.core.config.structure import StructureSettings
from stages.core.errors import ConfigError, StageError
from stages.core.images.split import held_out_mask

NUMBERS_AT_ONCE = 2**23
"""Float64 differences held in memory at a time: 64 MiB."""


def companions(
    choice: StructureSettings, searched: Neighbors, embeddings: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(ids, Euclidean distances), both (N, m), of every anchor's companions; embeddings: (N, D) float32.

    local: the nearest m of the searched lists. global: m distinct others by `generator`, in the order drawn.
    Held-out images (core.split) are nobody's companion; as anchors they have rows too, which training leaves aside.
    """
    images, depth = searched.ids.shape
    if len(embeddings) != images:
        raise StageError(
            f"--neighbors lists {images} images and --embeddings holds {len(embeddings)}; "
            "rebuild the lists with `snakemake -R neighbors`"
        )
    held_out = held_out_mask(images, choice.held_out)
    if choice.kind == "local":
        if choice.m > depth:
            raise ConfigError(
                f"m: {choice.m} is more than the {depth} neighbors searched; raise `depth` to {choice.m} or lower m"
            )
        places = first_allowed(searched.ids, held_out, choice.m)
        return searched.ids.gather(1, places), searched.distances.gather(1, places)
    ids = random_others(~held_out, choice.m, generator)
    return ids, distances_to(ids, embeddings)


def first_allowed(candidates: Tensor, held_out: Tensor, m: int) -> Tensor:
    """(N, m) places of the first m candidates (N, k) that are not held out (N,), in the candidates' order."""
    allowed = ~held_out[candidates]
    fewest = int(allowed.sum(1).min())
    if fewest < m:
        raise ConfigError(
            f"m: an anchor has {fewest} companions that are not held out for model selection, and m is {m};"
            f" raise neighbors.depth (now {candidates.shape[1]}) or lower m"
        )
    return (~allowed).to(torch.uint8).sort(dim=1, stable=True).indices[:, :m]


def random_others(pool: Tensor, m: int, generator: torch.Generator) -> Tensor:
    """m distinct ids of the pool (N,) bool for each of N anchors, never its own: (N, m) int64.

    Floyd's sampling (Bentley and Floyd, 1987), one column at a time for all anchors: m N draws instead of N^2. Every
    set is equally likely for anchors of the pool; those outside it, which no run trains on, never get its last image.
    """
    ids = pool.nonzero().squeeze(1)
    others = len(ids) - 1
    if m > others:
        raise ConfigError(f"m: {m} companions need {m + 1} images or more, and there are {len(ids)}; lower m")
    drawn = torch.full((len(pool), m), -1)
    for column, top in enumerate(range(others - m, others)):
        draw = torch.randint(top + 1, (len(pool),), generator=generator, device=generator.device).cpu()
        taken = (drawn == draw.unsqueeze(1)).any(dim=1)
        drawn[:, column] = torch.where(taken, top, draw)
    own_place = torch.where(pool, pool.cumsum(0) - 1, len(ids))
    return ids[drawn + (drawn >= own_place.unsqueeze(1))]  # places from the anchor's own on move up by one


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
