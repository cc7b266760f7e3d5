"""Pixels as embeddings: no network, and from there neighbors and structure vectors as from any embeddings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stages.core.artifacts import ImageSet, read_embeddings, read_images, read_neighbors, read_structure, write_images
from stages.data.__main__ import main as data
from stages.features.__main__ import main as features
from stages.neighbors.__main__ import main as neighbors
from stages.structure.__main__ import main as structure
from tests.unit.refusing import refusal

M = 8


def call(stage: Any, *words: object, settings: dict[str, Any] | None = None) -> None:
    given = ["--settings", json.dumps(settings or {}), "--device", "cpu"]
    stage([*[str(word) for word in words], *given])


def embed(folder: Path, *more: object) -> None:
    call(
        features,
        *("embed", "--train", folder / "train.safetensors", "--embeddings", folder / "embeddings.parquet"),
        *("--manifest", folder / "embed.json", *more),
        settings={"source": "pixels"},
    )


def test_pixels_are_written_row_by_row_in_the_unit_box_without_an_encoder(tmp_path: Path) -> None:
    images = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 3, 4, 5) * 2
    write_images(tmp_path / "train.safetensors", ImageSet(images, torch.tensor([0, 1]), ("a", "b")))
    embed(tmp_path)
    written = read_embeddings(tmp_path / "embeddings.parquet")
    assert written.dtype == torch.float32
    np.testing.assert_allclose(written.numpy(), images.numpy().reshape(2, -1) / 255, rtol=1e-7)
    manifest = json.loads((tmp_path / "embed.json").read_text())
    assert list(manifest["inputs"]) == ["train"]
    assert (manifest["facts"]["images"], manifest["facts"]["dimensions"]) == (2, 60)


def test_pixels_with_an_encoder_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = refusal(capsys, embed, tmp_path, "--encoder", tmp_path / "encoder.safetensors")
    assert "pixels are embedded by no network; leave out --encoder" in line


def test_on_digits_the_stages_find_the_neighbors_and_distances_of_a_search_by_brute_force(tmp_path: Path) -> None:
    call(
        data,
        *("--train", tmp_path / "train.safetensors", "--test", tmp_path / "test.safetensors"),
        *("--downloads", tmp_path, "--manifest", tmp_path / "data.json"),
        settings={"source": "digits", "train_images": 300, "test_images": 20},
    )
    embed(tmp_path)
    searched = ("--embeddings", tmp_path / "embeddings.parquet", "--index", tmp_path / "index.faiss")
    call(neighbors, "build", *searched, "--manifest", tmp_path / "index.json", settings={"depth": 12})
    call(
        neighbors,
        *("search", *searched, "--labels-from", tmp_path / "train.safetensors", "--report", tmp_path / "report.json"),
        *("--neighbors", tmp_path / "neighbors.parquet", "--manifest", tmp_path / "neighbors.json"),
        settings={"depth": 12},
    )
    inputs = ("--neighbors", tmp_path / "neighbors.parquet", "--embeddings", tmp_path / "embeddings.parquet")
    outputs = ("--structure", tmp_path / "structure.parquet", "--manifest", tmp_path / "structure.json")
    call(structure, *inputs, *outputs, settings={"m": M})

    points = read_images(tmp_path / "train.safetensors").images.flatten(1).double().numpy() / 255
    distances = np.stack([np.sqrt(((points - point) ** 2).sum(1)) for point in points])
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, axis=1)[:, :M]
    found = read_neighbors(tmp_path / "neighbors.parquet")
    np.testing.assert_allclose(found.distances[:, :M].numpy(), nearest, rtol=1e-6)
    written = read_structure(tmp_path / "structure.parquet")
    np.testing.assert_allclose(written.vectors.numpy(), nearest / nearest.sum(1, keepdims=True), rtol=1e-5)
    of_the_ids = np.take_along_axis(distances, written.companions.numpy(), axis=1)
    np.testing.assert_allclose(of_the_ids, nearest, rtol=1e-6)
