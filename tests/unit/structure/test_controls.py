"""The controls of structure vectors: uniform says nothing of distances, permuted keeps each anchor's values alone."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stages.core.artifacts import Neighbors, Structure, read_structure, write_embeddings, write_neighbors
from stages.structure.__main__ import main
from stages.structure.vectors import controlled, embedding_structure
from tests.unit.drawing import seeded

IMAGES, M = 50, 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    points = torch.randn(IMAGES, 4, generator=seeded(1))
    distances = (points.double().unsqueeze(1) - points.double()).square().sum(2).sqrt().fill_diagonal_(torch.inf)
    ranked, order = distances.sort(dim=1)
    write_embeddings(tmp_path / "embeddings.parquet", points)
    write_neighbors(tmp_path / "neighbors.parquet", Neighbors(order[:, :M].clone(), ranked[:, :M].clone()))
    return tmp_path


def made(folder: Path, **settings: object) -> Structure:
    arguments = ["--settings", json.dumps({"m": M, **settings}), "--device", "cpu"]
    arguments += ["--manifest", str(folder / "manifest.json")]
    for name in ("neighbors", "embeddings", "structure"):
        arguments += [f"--{name}", str(folder / f"{name}.parquet")]
    main(arguments)
    return read_structure(folder / "structure.parquet")


def facts(folder: Path) -> dict[str, object]:
    return json.loads((folder / "manifest.json").read_text())["facts"]


def vectors(seed: int) -> Tensor:
    return embedding_structure(torch.rand(40, 5, generator=seeded(seed), dtype=torch.float64))[0]


def test_distances_are_left_as_they_are() -> None:
    assert torch.equal(controlled(vectors(1), "distances", seeded()), vectors(1))


def test_uniform_vectors_are_the_same_for_any_distances() -> None:
    first, second = (controlled(vectors(seed), "uniform", seeded()) for seed in (1, 2))
    assert torch.equal(first, second)
    assert torch.equal(first, torch.full((40, 5), 1 / 5, dtype=torch.float64))


def test_every_order_of_the_entries_is_equally_likely() -> None:
    rows = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64).expand(6000, 3)
    drawn = controlled(rows, "permuted", seeded(3))
    _, counts = drawn.unique(dim=0, return_counts=True)
    assert len(counts) == 6
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 20.5  # chi-squared, 5 dof, p 0.001


@pytest.mark.parametrize("kind", ["local", "global"])
def test_a_permuted_structure_has_each_anchor_s_companions_and_values_in_an_order_of_the_seed(
    folder: Path, kind: str
) -> None:
    drawn = {"seed": 4} if kind == "global" else {}
    plain = made(folder, kind=kind, **drawn)
    assert facts(folder)["vector"] == "of distances (Eq. 2)"
    permuted, again = (made(folder, kind=kind, seed=4, vector="permuted") for _ in range(2))
    assert "permuted" in str(facts(folder)["vector"])
    assert torch.equal(permuted.companions, plain.companions)
    assert torch.equal(permuted.vectors.sort(1).values, plain.vectors.sort(1).values)
    moved = (permuted.vectors != plain.vectors).any(1)
    assert float(moved.float().mean()) > 0.9
    assert torch.equal(again.vectors, permuted.vectors)
    other = made(folder, kind=kind, seed=5, vector="permuted")
    assert not torch.equal(other.vectors, permuted.vectors)


def test_a_uniform_structure_keeps_the_companions_and_says_what_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, uniform = made(folder), made(folder, vector="uniform")
    assert torch.equal(uniform.companions, plain.companions)
    assert bool((uniform.vectors == torch.tensor(1 / M)).all())
    assert facts(folder)["coefficient_of_variation"] == 0
    assert "P_x uniform (a control)" in capsys.readouterr().err
