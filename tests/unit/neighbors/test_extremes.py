"""Neighbors of extreme embeddings: huge, tiny, zero, not finite; the search always ends, in bounded memory."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stages.core.config.structure import NeighborSearch
from stages.core.errors import StageError
from stages.neighbors.index import build_index, read_index, write_index
from stages.neighbors.search import rank, search
from tests.unit.drawing import CPU
from tests.unit.neighbors.embedding_sets import brute_force, clusters, embeddings_with_duplicates, find_all


@pytest.mark.parametrize("settings", [{}, {"index": "ivf", "lists": 4, "probes": 2}], ids=["exact", "ivf"])
@pytest.mark.parametrize("exponent", [-140, -100, -70, 62, 66, 120])
def test_lists_do_not_change_with_a_scale_however_extreme(settings: dict[str, object], exponent: int) -> None:
    embeddings = torch.randint(-200, 200, (300, 12), generator=torch.Generator().manual_seed(8)).float()
    embeddings[7] = 0
    embeddings[11:13] = embeddings[10]
    plain, plain_report = find_all(embeddings, depth=9, **settings)
    extreme, report = find_all((embeddings.double() * 2.0**exponent).float(), depth=9, **settings)
    assert torch.equal(extreme.ids, plain.ids)
    torch.testing.assert_close(extreme.distances, plain.distances * 2.0**exponent, rtol=1e-12, atol=0)
    assert (report["recall"], report["undecided_anchors"]) == (plain_report["recall"], 0)


def test_an_index_of_extreme_embeddings_comes_back(tmp_path: Path) -> None:
    embeddings = clusters() * 1e30
    write_index(tmp_path / "index.faiss", build_index(embeddings, NeighborSearch(), CPU))
    assert read_index(tmp_path / "index.faiss", embeddings).ntotal == len(embeddings)


@pytest.mark.parametrize("settings", [{}, {"index": "ivf", "lists": 4, "probes": 1}], ids=["exact", "ivf"])
@pytest.mark.parametrize("zeros", [1, 150, 300])
def test_zero_vectors_are_vectors_like_any_other(settings: dict[str, object], zeros: int) -> None:
    embeddings = embeddings_with_duplicates()
    embeddings[:zeros] = 0
    found, _ = find_all(embeddings, depth=5, **settings)
    assert bool(found.distances.isfinite().all())
    if not settings:
        assert np.array_equal(found.ids.numpy(), brute_force(embeddings, 5)[0])


@pytest.mark.parametrize("settings", [{}, {"index": "ivf", "lists": 4}], ids=["exact", "ivf"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_embeddings_that_are_not_finite_end_in_one_line(settings: dict[str, object], value: float) -> None:
    embeddings = embeddings_with_duplicates()
    embeddings[3, 3] = value
    with pytest.raises(StageError, match="embeddings: a value is not finite") as caught:
        find_all(embeddings, depth=5, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("nlist", [1, 8])
def test_a_search_that_makes_no_progress_ends_in_one_line(nlist: int) -> None:
    embeddings, asked = clusters(), []

    class Empty:
        """An index that never finds enough."""

        def __init__(self) -> None:
            self.nlist, self.nprobe = nlist, 1

        def search(self, queries: np.ndarray, candidates: int) -> tuple[np.ndarray, np.ndarray]:
            asked.append(self.nprobe)
            return np.full((len(queries), candidates), np.inf, np.float32), np.full((len(queries), candidates), -1)

    with pytest.raises(StageError, match="gives image 0 fewer than 6 neighbors in all its cells"):
        search(Empty(), embeddings, torch.arange(20), depth=6, extra=0, probes=1)
    assert asked[-1] == nlist
    assert len(asked) <= 4


def test_memory_of_the_ranking_does_not_grow_with_candidates_and_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = torch.randn(60, 50, generator=torch.Generator().manual_seed(9))
    anchors, candidates = torch.arange(10), torch.arange(60).repeat(10, 1)
    whole = rank(embeddings, anchors, candidates)
    sizes: list[int] = []
    square = Tensor.square_

    def measured(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return square(tensor)

    monkeypatch.setattr(Tensor, "square_", measured)
    monkeypatch.setattr("stages.neighbors.search.NUMBERS_AT_ONCE", 1000)
    parts = rank(embeddings, anchors, candidates)
    assert max(sizes) <= 1000
    assert torch.equal(parts[0], whole[0])
    torch.testing.assert_close(parts[1], whole[1], rtol=1e-14, atol=0)
