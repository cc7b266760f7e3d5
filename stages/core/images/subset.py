"""Which test images are measured where not all are: the same for every method, seed and attack.

The stratified order depends on the labels and a fixed seed alone. Every prefix of it has the classes in proportion, so
that a smaller number is part of a larger. Which class comes next is the chairman assignment problem: Tijdeman's rule
(Discrete Mathematics 32, 1980) keeps each of K classes within 1 - 1/(2K - 2) images of its share in every prefix,
which rounding each prefix for itself (stages/data/subset.py) or a divisor method cannot promise.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.core.config.attacks import Subset
from stages.core.job.progress import log_line

SUBSET_SEED = 20230316


def measured_images(labels: Tensor, wanted: int | None, subset: Subset) -> Tensor:
    """Rows (n,) int64 of the test images to measure, ascending, on the CPU; all for None or more than there are.

    labels: (N,). subset: `stratified` takes the first `wanted` of the stratified order, `first` those of the file.
    """
    if wanted is None or wanted >= len(labels):
        return torch.arange(len(labels))
    if subset == "first":
        return torch.arange(wanted)
    return stratified_order(labels)[:wanted].sort().values


def say_if_fewer(what: str, wanted: int | None, there: int) -> None:
    """Say so where more images are asked for than there are."""
    if wanted is not None and wanted > there:
        log_line(f"{what}: {wanted} test images are asked for and there are {there}; all are taken")


def stratified_order(labels: Tensor) -> Tensor:
    """All rows (N,) int64: images of a class in a drawn order, classes as Tijdeman's rule calls them. labels: (N,)."""
    generator = torch.Generator().manual_seed(SUBSET_SEED)
    rows: list[NDArray[np.int64]] = []
    found = labels.cpu().numpy()
    classes, counts = np.unique(found, return_counts=True)
    for label in classes:
        members = np.flatnonzero(found == label)
        rows.append(members[torch.randperm(len(members), generator=generator).numpy()])
    order = [rows[place][taken] for place, taken in _calls(counts)]
    return torch.from_numpy(np.array(order, dtype=np.int64))


def _calls(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The class called at each step, and how often it was called before. counts: (K,) images of each class.

    Among the classes that lag their share by 1/(2K - 2) or more, the one that must be called first. All times
    (2K - 2) N, so that whole numbers decide; equal ones go to the lower class.
    """
    total, scale = int(counts.sum()), max(1, 2 * len(counts) - 2)
    taken = np.zeros_like(counts)
    calls: list[tuple[int, int]] = []
    for step in range(1, total + 1):
        lag = scale * (step * counts - total * taken)
        due = (total * (scale - 1) - lag) / counts
        place = int(np.where(lag >= total, due, np.inf).argmin())
        calls.append((place, int(taken[place])))
        taken[place] += 1
    return calls
