"""Which anchors are shown."""

import pytest
import torch
from torch import Tensor

from stages.pictures.anchors import by_kind
from tests.unit.drawing import seeded

# Of anchors 0 to 7, with labels 0 and 1 by turns, so many of 4 companions carry the anchor's label.
AGREEING = [4, 0, 2, 4, 1, 2, 4, 0]


def companions(labels: Tensor, agreeing: list[int]) -> Tensor:
    """Companions of which so many carry the anchor's label: any with the right label, then any with another."""
    rows = []
    for anchor, count in enumerate(agreeing):
        same = [index for index in range(len(labels)) if labels[index] == labels[anchor] and index != anchor]
        other = [index for index in range(len(labels)) if labels[index] != labels[anchor]]
        rows.append([same[place % len(same)] for place in range(count)] + other[: 4 - count])
    return torch.tensor(rows)


def test_each_kind_has_the_shares_that_it_is_named_for_and_the_lowest_index_of_each_class() -> None:
    labels = torch.arange(8) % 2
    found = by_kind(labels, companions(labels, AGREEING), 2)
    assert found == {"good": [0, 3], "typical": [2, 5], "bad": [1, 4]}


def test_as_long_as_there_are_other_classes_one_is_not_shown_twice_although_it_agrees_more() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    found = by_kind(labels, companions(labels, [4, 4, 4, 3, 3, 0, 1, 1]), 3)
    assert found["good"] == [0, 3, 6]
    assert found["bad"] == [5, 7, 1]


@pytest.mark.parametrize("each", [1, 3, 50])
def test_no_anchor_is_shown_twice_however_many_are_asked_for_and_whatever_the_shares(each: int) -> None:
    labels = torch.randint(3, (40,), generator=seeded(1))
    for listed in (torch.randint(40, (40, 4), generator=seeded(2)), torch.zeros(40, 4, dtype=torch.int64)):
        found = by_kind(labels, listed, each)
        shown = [index for members in found.values() for index in members]
        assert len(set(shown)) == len(shown) == min(40, 3 * each)


def test_good_ones_agree_most_and_bad_ones_least() -> None:
    labels = torch.randint(3, (200,), generator=seeded(1))
    listed = torch.randint(200, (200, 8), generator=seeded(2))
    shares = (labels[listed] == labels.unsqueeze(1)).double().mean(dim=1)
    found = by_kind(labels, listed, 1)
    assert shares[found["good"]] == shares.max()
    assert shares[found["bad"]] == shares.min()
    assert shares[found["typical"]] == shares.median()
