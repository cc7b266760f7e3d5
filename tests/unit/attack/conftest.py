"""A folder in which the attack stage can be run; a small net and images for it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from stages.core.artifacts import ImageSet, write_images, write_weights
from stages.core.models import Classifier
from tests.unit.attack.attack_command import ARCHITECTURE
from tests.unit.drawing import noise, seeded, weights_from


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint and a test set that it classifies rightly."""
    with weights_from(0):
        model = Classifier(**ARCHITECTURE)
    images = noise(7)
    with torch.no_grad():
        model(torch.rand(16, 3, 8, 8, generator=seeded(1)))
        model.head.bias.sub_(model.eval()(images.float() / 255).mean(0))  # so that predictions differ
        labels = model(images.float() / 255).argmax(1)
    write_weights(tmp_path / "model.safetensors", model.state_dict(), ARCHITECTURE)
    write_images(tmp_path / "test.safetensors", ImageSet(images, labels, tuple("abcdefghij")))
    return tmp_path


@pytest.fixture
def model() -> nn.Module:
    with weights_from(0):
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Flatten(), nn.Linear(144, 10)
        ).eval()


@pytest.fixture
def test_set(model: nn.Module) -> ImageSet:
    """Images of which every third is labelled wrongly."""
    images = noise(11)
    with torch.no_grad():
        labels = model(images.float() / 255).argmax(1)
    labels[::3] = (labels[::3] + 1) % 10
    return ImageSet(images, labels, tuple("abcdefghij"))
