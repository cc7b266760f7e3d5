"""A folder in which the attack stage can be run."""

from pathlib import Path

import pytest
import torch

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
