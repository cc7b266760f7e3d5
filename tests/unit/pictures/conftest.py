"""A folder in which the pictures stage can be run: images, a structure, and two nets."""

from pathlib import Path

import pytest
import torch

from stages.core.artifacts import (
    Neighbors,
    Structure,
    write_images,
    write_neighbors,
    write_structure,
    write_weights,
)
from stages.core.models import Classifier
from tests.unit.drawing import labelled_images, seeded, weights_from

ARCHITECTURE = {"backbone": "resnet18", "width": 2, "classes": 3}
TRAIN, DEPTH, M = 30, 6, 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 training images with 6 searched neighbors each, of which the structure takes 4; 12 test images."""
    write_images(tmp_path / "train.safetensors", labelled_images(TRAIN, 1))
    write_images(tmp_path / "test.safetensors", labelled_images(12, 2))
    away = torch.stack([torch.randperm(TRAIN - 1, generator=seeded(row))[:DEPTH] + 1 for row in range(TRAIN)])
    ids = (torch.arange(TRAIN).unsqueeze(1) + away) % TRAIN
    distances = torch.rand(TRAIN, DEPTH, generator=seeded(9), dtype=torch.float64).sort(dim=1).values
    write_neighbors(tmp_path / "neighbors.parquet", Neighbors(ids, distances))
    kept = distances[:, 1 : M + 1]  # as if the nearest was held out
    structure = Structure(ids[:, 1 : M + 1], (kept / kept.sum(dim=1, keepdim=True)).float())
    write_structure(tmp_path / "structure.parquet", structure)
    for seed, name in enumerate(("plain", "other")):
        write_weights(tmp_path / f"{name}.safetensors", net(seed).state_dict(), ARCHITECTURE)
    return tmp_path


def net(seed: int) -> Classifier:
    """A net whose batch norm has seen images, in eval mode."""
    with weights_from(seed):
        model = Classifier("resnet18", width=2, classes=3)
    with torch.no_grad():
        for _ in range(20):
            model(torch.rand(32, 3, 8, 8, generator=seeded(seed)))
    return model.eval()
