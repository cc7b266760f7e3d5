"""The nearest neighbors of anchors: candidates from FAISS, then exact distances (recipes.md, notes 3 and 12).

FAISS expands |x - y|^2 in float32 and so loses near-duplicates to cancellation. Its candidates are therefore ranked
anew by direct differences in float64, and more of them are asked for while one left out could still be nearer.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stages.core.artifacts import Neighbors
from stages.core.errors import StageError
from stages.core.job.progress import progress
from stages.neighbors.index import GPU_LIMIT, NUMBERS_AT_ONCE, cells, norms, scale_exponent, scaled

QUERIES_AT_ONCE = 256
"""The least number of anchors that FAISS is given at a time: for fewer than 20 it reads every vector anew for each."""


@dataclass(frozen=True)
class Found:
    """Neighbors by (distance, id), with the widest search it took.

    undecided: anchors whose lists could still miss a neighbor as near as the last, to float32 precision, after the
    most candidates; more duplicates of one image than that, as a rule.
    """

    neighbors: Neighbors
    candidates: int
    probes: int
    undecided: int


def check_depth(depth: int, images: int) -> None:
    """Raise unless every image has `depth` others."""
    if depth >= images:
        raise StageError(f"depth: {depth} neighbors need {depth + 1} images or more, and there are {images}; lower it")


def search(index: Any, embeddings: Tensor, anchors: Tensor, *, depth: int, extra: int, probes: int) -> Found:
    """The `depth` nearest of embeddings (N, D) float32 to each of anchors (A,), never the anchor itself.

    An anchor is dropped by its id, not by its rank: an exact duplicate can come before it. The search widens by
    doubling: probes while an anchor has fewer than `depth` candidates, and candidates (up to 2048) while one that
    FAISS left out could be as near as the last kept. An exact index then gives the true neighbors, ties by id; an IVF
    index those of the cells it probed. Each turn ends an anchor's search or widens it, so the search ends; StageError
    where an anchor lacks neighbors though every cell was probed.
    """
    images, dimensions = embeddings.shape
    check_depth(depth, images)
    exponent = scale_exponent(embeddings)
    points = scaled(embeddings, exponent)
    largest = norms(points).max()
    candidates = min(images, depth + 1 + extra)
    most = min(images, max(candidates, GPU_LIMIT))
    probes = min(probes, cells(index))
    ids = torch.empty(len(anchors), depth, dtype=torch.int64)
    distances = torch.empty(len(anchors), depth, dtype=torch.float64)
    waiting, undecided = torch.arange(len(anchors)), 0
    while len(waiting):
        if cells(index) > 1:
            index.nprobe = probes
        short, open_ended = [], []
        chunks = waiting.split(max(QUERIES_AT_ONCE, NUMBERS_AT_ONCE // (candidates * dimensions)))
        for rows in progress(chunks, "neighbors", len(chunks)):
            answer = index.search(points[anchors[rows]].numpy(), candidates)
            squared, found = (torch.from_numpy(part) for part in answer)
            ids[rows], distances[rows] = (part[:, :depth] for part in rank(embeddings, anchors[rows], found))
            last = distances[rows, -1] * 2.0**exponent
            short.append(rows[last.isinf()])
            slack = expansion_error(points[anchors[rows]], largest)
            cut = (found[:, -1] >= 0) & (candidates < images) & (last.square() >= squared[:, -1].double() - slack)
            open_ended.append(rows[cut])
        lacking, cut_off = torch.cat(short), torch.cat(open_ended)
        if candidates == most:
            undecided += len(cut_off)
            cut_off = cut_off[:0]
        if len(lacking) and probes == cells(index):
            raise StageError(
                f"embeddings: the index gives image {int(anchors[lacking[0]])} fewer than {depth} neighbors in all its "
                "cells; build embeddings and index again with `snakemake -R embed`"
            )
        waiting = torch.cat([lacking, cut_off]).sort().values
        probes = min(2 * probes, cells(index)) if len(lacking) else probes
        candidates = min(2 * candidates, most) if len(cut_off) else candidates
    return Found(Neighbors(ids, distances), candidates, probes, undecided)


def rank(embeddings: Tensor, anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """(ids, Euclidean distances) of candidates (A, c) by (distance, id), in float64 from the embeddings (N, D).

    An anchor itself, and an empty place (id -1), goes to the end with an infinite distance.
    """
    candidates = candidates.sort(dim=1).values
    distances = torch.empty(candidates.shape, dtype=torch.float64)
    pairs = max(1, NUMBERS_AT_ONCE // embeddings.shape[1])
    rows = max(1, pairs // candidates.shape[1])
    for top in range(0, len(anchors), rows):
        own = embeddings[anchors[top : top + rows]].double().unsqueeze(1)
        for left in range(0, candidates.shape[1], pairs):
            part = slice(top, top + rows), slice(left, left + pairs)
            differences = embeddings[candidates[part]].double() - own
            distances[part] = differences.square_().sum(dim=2).sqrt_()
    distances[(candidates < 0) | (candidates == anchors.unsqueeze(1))] = torch.inf
    distances, order = distances.sort(dim=1, stable=True)
    return candidates.gather(1, order), distances


def expansion_error(anchors: Tensor, largest: Tensor) -> Tensor:
    """The most by which |x|^2 + |y|^2 - 2 x.y in float32 can err for anchors (A, D) and any |y| <= `largest`: (A,).

    Twice the classical bound on sums of D products, u (D + 8) (|x| + |y|)^2 with u = 2^-24 (Higham, 2002, ch. 3).
    """
    reach = anchors.double().norm(dim=1) + largest
    return 2**-23 * (anchors.shape[1] + 8) * reach.square()
