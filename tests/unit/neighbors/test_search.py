"""Neighbors: FAISS's lists are the true ones, ties and duplicates included, and no unverified index is read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from stages.core.artifacts import ImageSet, Neighbors, read_neighbors, write_embeddings, write_images
from stages.core.config.structure import NeighborSearch
from stages.core.errors import ArtifactError, StageError
from stages.core.files import sha256_file
from stages.neighbors.__main__ import main
from stages.neighbors.index import build_index, cells, checksum_path, read_index, write_index
from stages.neighbors.quality import duplicates, label_purity, neighbor_facts, recall, sample_anchors
from stages.neighbors.search import expansion_error, rank, search
from tests.unit.drawing import CPU
from tests.unit.neighbors.embedding_sets import brute_force, clusters, embeddings_with_duplicates, find_all
from tests.unit.refusing import refusal


@pytest.mark.parametrize("depth", [1, 5, 70])
@pytest.mark.parametrize("extra", [0, 8])
def test_exact_lists_equal_brute_force_with_duplicates_present(depth: int, extra: int) -> None:
    embeddings = embeddings_with_duplicates()
    found, report = find_all(embeddings, depth=depth, extra=extra)
    ids, distances = brute_force(embeddings, depth)
    assert np.array_equal(found.ids.numpy(), ids)
    np.testing.assert_allclose(found.distances.numpy(), distances, rtol=0, atol=1e-12)
    assert report["undecided_anchors"] == 0


def expand(queries: Tensor, points: Tensor) -> Tensor:
    """Squared distances as |x|^2 + |y|^2 - 2 x.y in float32: (A, N)."""
    return queries.square().sum(1)[:, None] + points.square().sum(1) - 2 * queries @ points.T


@pytest.mark.parametrize(("offset", "spread"), [(300.0, 1e-3), (100.0, 0.1), (1.0, 0.1)])
def test_lists_are_exact_though_the_index_expands_in_float32(offset: float, spread: float) -> None:
    embeddings = offset + spread * torch.randn(400, 16, generator=torch.Generator().manual_seed(5))

    class Expanding:
        def search(self, queries: np.ndarray, candidates: int) -> tuple[np.ndarray, np.ndarray]:
            nearest = expand(torch.from_numpy(queries), embeddings).topk(candidates, largest=False)
            return nearest.values.numpy(), nearest.indices.numpy()

    found = search(Expanding(), embeddings, torch.arange(400), depth=6, extra=0, probes=1).neighbors
    assert np.array_equal(found.ids.numpy(), brute_force(embeddings, 6)[0])


def test_the_error_of_a_float32_expansion_is_within_its_bound() -> None:
    points = 5 + torch.randn(200, 64, generator=torch.Generator().manual_seed(7))
    exact = cdist(points.double(), points.double(), "sqeuclidean")
    error = np.abs(expand(points, points).double().numpy() - exact).max(axis=1)
    bound = expansion_error(points, points.double().norm(dim=1).max()).numpy()
    assert (error <= bound).all()
    assert bound.max() < 1e3 * error.max()


def test_candidates_rank_by_distance_then_id_with_the_anchor_and_empty_places_last() -> None:
    embeddings = torch.tensor([[0.0], [3.0], [1.0], [-1.0], [0.0]])
    ids, distances = rank(embeddings, torch.tensor([0]), torch.tensor([[3, -1, 4, 0, 2, 1]]))
    assert ids[0, :4].tolist() == [4, 2, 3, 1]
    assert distances[0].tolist() == [0, 1, 1, 3, torch.inf, torch.inf]


def test_an_anchor_is_dropped_by_its_id_though_a_duplicate_ranks_first() -> None:
    embeddings = embeddings_with_duplicates()
    found, _ = find_all(embeddings, depth=3)
    assert found.ids[9, 0] == 5
    assert found.ids[5, 0] == 9
    assert found.distances[9, 0] == 0
    assert not (found.ids == torch.arange(len(embeddings)).unsqueeze(1)).any()


def test_more_duplicates_than_can_be_searched_are_counted_as_undecided() -> None:
    embeddings = torch.ones(2200, 2)
    anchors = torch.tensor([0, 7])
    found = search(build_index(embeddings, NeighborSearch(), CPU), embeddings, anchors, depth=4, extra=2, probes=1)
    assert (found.undecided, found.candidates) == (2, 2048)
    assert not (found.neighbors.ids == anchors.unsqueeze(1)).any()
    assert bool((found.neighbors.distances == 0).all())


def test_as_many_neighbors_as_there_are_images_is_refused_in_one_line() -> None:
    with pytest.raises(StageError, match="10 neighbors need 11 images or more, and there are 10") as caught:
        find_all(torch.randn(10, 3), depth=10)
    assert "\n" not in str(caught.value)
    found, _ = find_all(torch.randn(10, 3), depth=9)
    assert found.ids.sort(dim=1).values[0].tolist() == list(range(1, 10))


@pytest.mark.parametrize("probes", [1, 4])
def test_ivf_reports_its_true_recall(probes: int) -> None:
    embeddings = clusters()
    found, report = find_all(embeddings, depth=10, index="ivf", lists=20, probes=probes, recall_sample=250)
    anchors = sample_anchors(len(embeddings), 250).numpy()
    furthest = brute_force(embeddings, 10)[1][anchors, -1:]
    truth = (found.distances.numpy()[anchors] <= furthest + 1e-12).mean()
    assert report["recall"] == pytest.approx(truth, abs=1e-9)
    assert report["recall_anchors"] == 250
    assert probes > 1 or report["recall"] < 0.99


def test_ivf_that_probes_every_cell_is_exact() -> None:
    embeddings = clusters()
    found, report = find_all(embeddings, depth=10, index="ivf", lists=20, probes=20)
    assert np.array_equal(found.ids.numpy(), brute_force(embeddings, 10)[0])
    assert report["recall"] == 1.0


def test_ivf_widens_its_probes_until_every_list_is_full(capsys: pytest.CaptureFixture[str]) -> None:
    embeddings = clusters(images=400)
    found, report = find_all(embeddings, depth=120, index="ivf", lists=1024, probes=1)
    assert report["cells"] == 400 // 39
    assert "using 10, not lists: 1024" in capsys.readouterr().err
    assert int(report["probes"]) > 1
    assert bool(found.distances.isfinite().all())
    assert all(len(set(row)) == 120 for row in found.ids.tolist())


def test_the_same_settings_give_the_same_lists() -> None:
    embeddings = clusters()
    first, second = (find_all(embeddings, depth=5, index="ivf", lists=20, probes=2)[0] for _ in range(2))
    assert torch.equal(first.ids, second.ids)
    assert torch.equal(first.distances, second.distances)


def test_recall_counts_any_of_several_equally_near() -> None:
    found = Neighbors(torch.tensor([[4, 5], [1, 2]]), torch.tensor([[1.0, 2.0], [1.0, 9.0]]).double())
    truth = Neighbors(torch.tensor([[4, 3], [1, 3]]), torch.tensor([[1.0, 2.0], [1.0, 2.0]]).double())
    assert recall(found, truth) == 0.75


def test_duplicates_counts_pairs_and_anchors_and_takes_minus_zero_for_zero() -> None:
    rows = torch.tensor([[1.0, 0.0], [1.0, -0.0], [2.0, 0.0], [1.0, 0.0], [3.0, 3.0], [3.0, 3.0], [9.0, 0.0]])
    assert duplicates(rows) == (3 + 1, 5)


def test_label_purity_is_the_share_of_equal_labels_among_the_first_eight() -> None:
    generator = torch.Generator().manual_seed(6)
    neighbors = torch.randint(50, (50, 12), generator=generator)
    labels = torch.randint(3, (50,), generator=generator)
    expected = np.mean([[labels[j] == labels[i] for j in row[:8]] for i, row in enumerate(neighbors.tolist())])
    assert label_purity(neighbors, labels) == pytest.approx(expected)
    assert label_purity(neighbors, torch.full((50,), -1)) is None


def test_the_report_gives_the_distances_own_figures() -> None:
    embeddings = embeddings_with_duplicates(copies=3)
    found, _ = find_all(embeddings, depth=5)
    report = neighbor_facts(embeddings, found, torch.zeros(len(embeddings), dtype=torch.int64))
    distances = brute_force(embeddings, 5)[1]
    assert report["distance_max"] == pytest.approx(distances.max())
    assert report["distance_min"] == 0
    assert report["distance_mean"] == pytest.approx(distances.mean())
    assert report["coefficient_of_variation"] == pytest.approx((distances.std(1) / distances.mean(1)).mean())
    assert (report["label_purity"], report["purity_neighbors"]) == (1.0, 5)


@pytest.mark.parametrize("settings", [{}, {"index": "ivf", "lists": 20}], ids=["exact", "ivf"])
def test_an_index_comes_back_as_it_was_written(tmp_path: Path, settings: dict[str, object]) -> None:
    embeddings, path = clusters(), tmp_path / "index.faiss"
    built = build_index(embeddings, NeighborSearch.model_validate(settings), CPU)
    write_index(path, built)
    read = read_index(path, embeddings)
    assert cells(read) == cells(built)
    assert checksum_path(path).read_text() == f"{sha256_file(path)}  index.faiss\n"
    for ours, theirs in zip(read.search(embeddings.numpy(), 4), built.search(embeddings.numpy(), 4), strict=True):
        assert np.array_equal(ours, theirs)


def test_an_index_altered_or_without_its_checksum_is_refused(tmp_path: Path) -> None:
    embeddings, path = clusters(), tmp_path / "index.faiss"
    write_index(path, build_index(embeddings, NeighborSearch(), CPU))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="differs from its checksum"):
        read_index(path, embeddings)
    checksum_path(path).unlink()
    with pytest.raises(ArtifactError, match=r"index\.faiss\.sha256: no such file"):
        read_index(path, embeddings)


def test_an_index_of_other_embeddings_is_refused(tmp_path: Path) -> None:
    embeddings, path = clusters(), tmp_path / "index.faiss"
    write_index(path, build_index(embeddings, NeighborSearch(), CPU))
    other = embeddings.clone()
    other[17, 3] += 0.5
    for wrong in (other, embeddings[:-1], embeddings[:, :-1].contiguous()):
        with pytest.raises(ArtifactError, match="other embeddings"):
            read_index(path, wrong)


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with embeddings and images of the same 300 training images in it."""
    write_embeddings(tmp_path / "embeddings.parquet", embeddings_with_duplicates())
    labels = torch.arange(300) % 4
    images = ImageSet(torch.zeros(300, 3, 2, 2, dtype=torch.uint8), labels, ("a", "b", "c", "d"))
    write_images(tmp_path / "train.safetensors", images)
    return tmp_path


def run(folder: Path, command: str, settings: str = '{"depth": 5}') -> None:
    files = {"embeddings": "embeddings.parquet", "index": "index.faiss", "manifest": f"{command}.json"}
    if command == "search":
        files |= {"labels-from": "train.safetensors", "neighbors": "n.parquet", "report": "report.json"}
    paths = [part for flag, name in files.items() for part in (f"--{flag}", str(folder / name))]
    main([command, "--settings", settings, "--device", "cpu", "--threads", "1", *paths])


@pytest.mark.parametrize("settings", ['{"depth": 5}', '{"depth": 5, "index": "ivf", "lists": 4, "probes": 4}'])
def test_build_then_search_writes_true_lists_a_report_and_manifests(workplace: Path, settings: str) -> None:
    run(workplace, "build", settings)
    run(workplace, "search", settings)
    found = read_neighbors(workplace / "n.parquet")
    ids, distances = brute_force(embeddings_with_duplicates(), 5)
    assert np.array_equal(found.ids.numpy(), ids)
    np.testing.assert_allclose(found.distances.numpy(), distances, rtol=0, atol=1e-12)
    report = json.loads((workplace / "report.json").read_text())
    manifest = json.loads((workplace / "search.json").read_text())
    assert manifest["facts"] == report
    assert report["recall"] == 1.0
    assert report["duplicate_pairs"] == 61 * 60 // 2 + 1
    assert report["duplicate_anchors"] == 61 + 2
    assert manifest["inputs"]["index"]["sha256"] == sha256_file(workplace / "index.faiss")
    built = json.loads((workplace / "build.json").read_text())
    assert set(built["outputs"]) == {"index", "checksum"}


def test_search_on_an_altered_index_ends_in_one_line_and_writes_nothing(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(workplace, "build")
    with (workplace / "index.faiss").open("ab") as stream:
        stream.write(b"x")
    assert len(refusal(capsys, run, workplace, "search")) == 1
    assert not any((workplace / name).exists() for name in ("n.parquet", "report.json", "search.json"))


def test_labels_of_other_images_are_refused(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(workplace, "build")
    images = ImageSet(torch.zeros(7, 3, 2, 2, dtype=torch.uint8), torch.zeros(7, dtype=torch.int64), ("a",))
    write_images(workplace / "train.safetensors", images)
    assert "holds 7 images and --embeddings 300" in refusal(capsys, run, workplace, "search")[-1]


def test_embeddings_that_are_not_finite_are_refused(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled = embeddings_with_duplicates()
    spoiled[3, 3] = torch.nan
    with monkeypatch.context() as unchecked:
        unchecked.setattr(Tensor, "isfinite", lambda tensor: torch.ones_like(tensor, dtype=torch.bool))
        write_embeddings(workplace / "embeddings.parquet", spoiled)
    assert "not finite" in refusal(capsys, run, workplace, "build")[-1]
    assert not (workplace / "index.faiss").exists()
