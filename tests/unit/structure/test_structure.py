"""Structure vectors: P_x is Eq. 2 for any companions, and the global draw is fair, distinct and repeatable."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stages.core.artifacts import Neighbors, read_structure, write_embeddings, write_neighbors
from stages.core.config.structure import StructureSettings
from stages.core.errors import ConfigError, StageError
from stages.structure.__main__ import main
from stages.structure.companions import companions, distances_to, random_others
from stages.structure.vectors import coefficient_of_variation, embedding_structure
from tests.unit.drawing import seeded
from tests.unit.refusing import refusal

IMAGES, DEPTH, DIMENSIONS = 60, 10, 6


def loop_of_equation_2(distances: Tensor) -> np.ndarray:
    """P_x entry by entry in Python floats."""
    rows = []
    for row in distances.tolist():
        total = sum(row)
        rows.append([distance / total for distance in row])
    return np.array(rows)


@pytest.fixture(scope="module")
def embeddings() -> Tensor:
    points = torch.randn(IMAGES, DIMENSIONS, generator=seeded(1))
    points[20:32] = points[20]  # more copies than neighbors searched
    return points


@pytest.fixture(scope="module")
def searched(embeddings: Tensor) -> Neighbors:
    distances = torch.cdist(embeddings.double(), embeddings.double(), compute_mode="donot_use_mm_for_euclid_dist")
    distances.fill_diagonal_(torch.inf)
    ranked, order = distances.sort(dim=1, stable=True)
    return Neighbors(order[:, :DEPTH].clone(), ranked[:, :DEPTH].clone())


def test_structure_vectors_equal_a_loop_over_equation_2() -> None:
    distances = torch.rand(40, 8, generator=seeded(2), dtype=torch.float64)
    vectors, degenerate = embedding_structure(distances)
    np.testing.assert_allclose(vectors.numpy(), loop_of_equation_2(distances), rtol=1e-14)
    assert not degenerate.any()


def test_rows_sum_to_one_though_distances_are_zero_or_tiny() -> None:
    distances = torch.rand(6, 5, generator=seeded(3), dtype=torch.float64)
    distances[1] = 0
    distances[2] *= 1e-14
    distances[3, 1:] = 0
    distances[4] *= 1e-9
    vectors, degenerate = embedding_structure(distances)
    assert torch.allclose(vectors.sum(dim=1), torch.ones(6, dtype=torch.float64), rtol=0, atol=1e-14)
    assert degenerate.tolist() == [False, True, True, False, False, False]
    assert bool((vectors[1:3] == 1 / 5).all())
    assert vectors[3].tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("scale", [1e-3, 7.0, 1e6])
def test_structure_vectors_do_not_change_with_the_scale_of_the_features(embeddings: Tensor, scale: float) -> None:
    ids = random_others(torch.ones(IMAGES, dtype=torch.bool), 7, seeded(4))
    vectors, _ = embedding_structure(distances_to(ids, embeddings.double()))
    scaled, _ = embedding_structure(distances_to(ids, embeddings.double() * scale))
    assert torch.allclose(vectors, scaled, rtol=1e-12, atol=0)


def test_the_coefficient_of_variation_is_zero_for_uniform_vectors_and_the_mean_of_std_over_mean() -> None:
    vectors, _ = embedding_structure(torch.rand(30, 8, generator=seeded(5), dtype=torch.float64))
    expected = np.mean([np.std(row) / np.mean(row) for row in vectors.numpy()])
    assert coefficient_of_variation(vectors) == pytest.approx(expected)
    assert coefficient_of_variation(torch.full((3, 8), 1 / 8)) == 0


def test_local_companions_are_the_first_m_of_the_search(embeddings: Tensor, searched: Neighbors) -> None:
    ids, distances = companions(StructureSettings(m=4), searched, embeddings, seeded())
    assert torch.equal(ids, searched.ids[:, :4])
    assert torch.equal(distances, searched.distances[:, :4])


def test_global_companions_have_their_own_distances(embeddings: Tensor, searched: Neighbors) -> None:
    ids, distances = companions(StructureSettings(kind="global", m=12), searched, embeddings, seeded(3))
    points = embeddings.double().numpy()
    expected = [[np.linalg.norm(points[i] - points[j]) for j in row] for i, row in enumerate(ids.tolist())]
    np.testing.assert_allclose(distances.numpy(), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("images", "m"), [(60, 8), (9, 8), (3, 2)])
def test_a_global_draw_is_distinct_and_never_the_anchor(images: int, m: int) -> None:
    ids = random_others(torch.ones(images, dtype=torch.bool), m, seeded())
    for anchor, row in enumerate(ids.tolist()):
        assert len(set(row)) == m
        assert anchor not in row
        assert set(row) <= set(range(images))


def test_a_global_draw_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    first, again, other = (random_others(torch.ones(50, dtype=torch.bool), 6, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_pair_of_companions_is_drawn_equally_often() -> None:
    draws = 4000
    generator = seeded(6)
    counts: dict[frozenset[int], int] = {}
    for _ in range(draws // 5):
        for anchor, row in enumerate(random_others(torch.ones(5, dtype=torch.bool), 2, generator).tolist()):
            pair = frozenset((other - anchor) % 5 for other in row)
            counts[pair] = counts.get(pair, 0) + 1
    expected = draws / 6
    assert len(counts) == 6
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 20.5  # chi-squared, 5 dof, p 0.001


def test_m_above_the_searched_depth_names_the_cure(embeddings: Tensor, searched: Neighbors) -> None:
    with pytest.raises(ConfigError, match=r"m: 11 .* 10 neighbors searched; raise `depth` to 11") as caught:
        companions(StructureSettings(m=11), searched, embeddings, seeded())
    assert "\n" not in str(caught.value)


def test_global_m_above_the_other_images_is_refused(embeddings: Tensor, searched: Neighbors) -> None:
    with pytest.raises(ConfigError, match="60 companions need 61 images"):
        companions(StructureSettings(kind="global", m=60), searched, embeddings, seeded())


def test_embeddings_of_other_images_are_refused(embeddings: Tensor, searched: Neighbors) -> None:
    with pytest.raises(StageError, match="lists 60 images and --embeddings holds 59"):
        companions(StructureSettings(m=4), searched, embeddings[:-1], seeded())


def run(folder: Path, settings: str) -> None:
    arguments = ["--settings", settings, "--device", "cpu", "--manifest", str(folder / "manifest.json")]
    for name in ("neighbors", "embeddings", "structure"):
        arguments += [f"--{name}", str(folder / f"{name}.parquet")]
    main(arguments)


@pytest.fixture
def workplace(tmp_path: Path, embeddings: Tensor, searched: Neighbors) -> Path:
    write_embeddings(tmp_path / "embeddings.parquet", embeddings)
    write_neighbors(tmp_path / "neighbors.parquet", searched)
    return tmp_path


def test_the_stage_writes_equation_2_for_local_companions(workplace: Path, searched: Neighbors) -> None:
    run(workplace, '{"kind": "local", "m": 8}')
    written = read_structure(workplace / "structure.parquet")
    assert written.vectors.dtype == torch.float32
    assert torch.equal(written.companions, searched.ids[:, :8])
    facts = json.loads((workplace / "manifest.json").read_text())["facts"]
    assert (facts["anchors"], facts["degenerate_anchors"]) == (IMAGES, 12)
    ordinary = [anchor for anchor in range(IMAGES) if not 20 <= anchor < 32]
    expected = loop_of_equation_2(searched.distances[ordinary, :8])
    np.testing.assert_allclose(written.vectors[ordinary].numpy(), expected, rtol=1e-6)
    assert bool((written.vectors[20:32] == 1 / 8).all())
    assert facts["coefficient_of_variation"] == pytest.approx(coefficient_of_variation(written.vectors), rel=1e-5)


def test_the_stage_repeats_a_global_draw_and_records_its_seed(workplace: Path) -> None:
    drawn = []
    for seed in (4, 4, 5):
        run(workplace, json.dumps({"kind": "global", "m": 15, "seed": seed}))
        drawn.append(read_structure(workplace / "structure.parquet"))
    assert torch.equal(drawn[0].companions, drawn[1].companions)
    assert torch.equal(drawn[0].vectors, drawn[1].vectors)
    assert not torch.equal(drawn[0].companions, drawn[2].companions)
    assert json.loads((workplace / "manifest.json").read_text())["seed"] == 5


def test_the_stage_ends_in_one_line_when_m_is_too_large(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(refusal(capsys, run, workplace, '{"m": 11}')) == 1
    assert not (workplace / "structure.parquet").exists()
