"""Images held out for model selection are nobody's companion, and everybody agrees which they are."""

import pytest
import torch
from torch import Tensor

from stages.core.artifacts import Neighbors
from stages.core.config.known import SPLIT_SHARE
from stages.core.config.structure import StructureSettings
from stages.core.errors import ConfigError
from stages.core.images.split import LARGEST_SHARE, held_out_mask
from stages.structure.companions import companions, random_others

IMAGES, HELD_OUT = 80, 8


@pytest.fixture(scope="module")
def embeddings() -> Tensor:
    return torch.randn(IMAGES, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def distances(embeddings: Tensor) -> Tensor:
    exact = (embeddings.double().unsqueeze(1) - embeddings.double()).square().sum(2).sqrt()
    return exact.fill_diagonal_(torch.inf)


def search(distances: Tensor, depth: int) -> Neighbors:
    ranked, order = distances.sort(dim=1, stable=True)
    return Neighbors(order[:, :depth].clone(), ranked[:, :depth].clone())


@pytest.mark.parametrize(
    ("images", "at_most", "expected"), [(80, 8, 8), (80, 100, 8), (80, 3, 3), (9, 5, 0), (80, 0, 0)]
)
def test_at_most_a_tenth_is_held_out_and_always_the_same(images: int, at_most: int, expected: int) -> None:
    mask = held_out_mask(images, at_most)
    assert int(mask.sum()) == expected
    assert torch.equal(mask, held_out_mask(images, at_most))


def test_local_companions_are_the_nearest_of_the_images_that_are_not_held_out(
    embeddings: Tensor, distances: Tensor
) -> None:
    choice = StructureSettings(m=6, held_out=HELD_OUT)
    ids, sizes = companions(choice, search(distances, 30), embeddings, torch.Generator())
    allowed = distances.clone()
    allowed[:, held_out_mask(IMAGES, HELD_OUT)] = torch.inf
    ranked, order = allowed.sort(dim=1, stable=True)
    assert torch.equal(ids, order[:, :6])
    assert torch.equal(sizes, ranked[:, :6])


def test_global_companions_are_never_held_out_nor_the_anchor(embeddings: Tensor, distances: Tensor) -> None:
    choice = StructureSettings(kind="global", m=10, held_out=HELD_OUT)
    ids, _ = companions(choice, search(distances, 30), embeddings, torch.Generator())
    mask = held_out_mask(IMAGES, HELD_OUT)
    assert not bool(mask[ids].any())
    assert not bool((ids == torch.arange(IMAGES).unsqueeze(1)).any())
    assert all(len(set(row)) == 10 for row in ids.tolist())


def test_every_image_of_the_pool_is_drawn_equally_often_by_an_anchor_of_the_pool() -> None:
    pool = torch.tensor([True, False, True, True, False, True])
    generator = torch.Generator().manual_seed(1)
    drawn = torch.cat([random_others(pool, 1, generator)[2] for _ in range(3000)])
    counts = torch.bincount(drawn, minlength=6)
    assert counts[[1, 2, 4]].tolist() == [0, 0, 0]
    assert all(abs(int(count) - 1000) < 120 for count in counts[[0, 3, 5]])


def test_a_search_too_shallow_for_the_held_out_names_the_cure(embeddings: Tensor, distances: Tensor) -> None:
    with pytest.raises(ConfigError, match=r"neighbors\.depth"):
        companions(StructureSettings(m=6, held_out=HELD_OUT), search(distances, 6), embeddings, torch.Generator())


def test_the_plan_knows_the_share_that_is_held_out() -> None:
    assert SPLIT_SHARE == LARGEST_SHARE
