"""Laws of partial evaluation: which test images are measured where not all are."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.core.images.subset import measured_images, say_if_fewer, stratified_order

SIZES = {
    "ten equal": [100] * 10,
    "two hundred equal": [10] * 200,
    "SVHN's digits": [174, 510, 415, 288, 252, 238, 198, 202, 166, 160],
    "one large among single images": [90] + [1] * 40,
    "two": [5, 3],
    "one alone": [7],
    "single images": [1] * 13,
    "uneven": list(range(1, 24)),
}


def shuffled(sizes: list[int], seed: int = 0) -> Tensor:
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


def counts(labels: Tensor, wanted: int) -> NDArray[np.int64]:
    return np.bincount(labels[measured_images(labels, wanted, "stratified")].numpy(), minlength=int(labels.max()) + 1)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("sorted_by_class", [False, True])
def test_any_number_has_each_class_within_one_of_its_share(name: str, sorted_by_class: bool) -> None:
    labels = shuffled(SIZES[name])
    labels = labels.sort().values if sorted_by_class else labels
    called = labels[stratified_order(labels)].numpy()
    found = (called[:, None] == np.arange(len(SIZES[name]))).cumsum(0)
    share = np.array(SIZES[name]) / len(labels)
    assert np.abs(found - np.arange(1, len(labels) + 1)[:, None] * share).max() < 1


def test_equal_classes_have_equal_counts_where_the_number_allows() -> None:
    assert counts(shuffled(SIZES["ten equal"]), 500).tolist() == [50] * 10


@pytest.mark.parametrize("name", SIZES)
def test_a_smaller_number_is_part_of_a_larger(name: str) -> None:
    labels = shuffled(SIZES[name])
    numbers = sorted({1, 2, 3, len(labels) // 3, len(labels) // 2, len(labels) - 1})
    parts = [set(measured_images(labels, wanted, "stratified").tolist()) for wanted in numbers]
    assert [len(part) for part in parts] == numbers
    assert all(smaller < larger for smaller, larger in pairwise(parts))


@pytest.mark.parametrize("subset", ["stratified", "first"])
@pytest.mark.parametrize("wanted", [None, 11, 12, 10**9])
def test_as_many_as_there_are_or_more_takes_all_in_the_files_order(subset: str, wanted: int | None) -> None:
    assert measured_images(shuffled([8, 3]), wanted, subset).tolist() == list(range(11))  # type: ignore[arg-type]


def test_first_is_the_start_of_the_file_whatever_the_labels() -> None:
    assert measured_images(shuffled([8, 3]), 4, "first").tolist() == [0, 1, 2, 3]


def test_the_same_labels_give_the_same_images_whatever_was_drawn_before() -> None:
    labels = shuffled(SIZES["uneven"])
    before = measured_images(labels, 50, "stratified")
    torch.manual_seed(9)
    torch.rand(3)
    state = torch.get_rng_state()
    assert torch.equal(measured_images(labels.clone(), 50, "stratified"), before)
    assert torch.equal(torch.get_rng_state(), state)


def test_images_come_from_all_over_each_class_and_not_from_its_start() -> None:
    labels = torch.arange(10).repeat_interleave(100)
    chosen = measured_images(labels, 200, "stratified")
    assert torch.equal(chosen, chosen.sort().values)
    mean_place = float((chosen % 100).float().mean())
    assert abs(mean_place - 49.5) < 4 * 100 / np.sqrt(12 * 200)


def test_every_image_stands_once_in_the_order() -> None:
    assert sorted(stratified_order(shuffled(SIZES["uneven"])).tolist()) == list(range(sum(SIZES["uneven"])))


def test_more_asked_for_than_there_are_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for wanted in (None, 4, 5):
        say_if_fewer("pgd", wanted, 5)
    assert not capsys.readouterr().err
    say_if_fewer("pgd", 6, 5)
    assert capsys.readouterr().err == "pgd: 6 test images are asked for and there are 5; all are taken\n"
