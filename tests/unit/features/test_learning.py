"""MoCo learns something from real images, in the minute that a test has."""

import io
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from stages.core.artifacts import ImageSet
from stages.core.config.moco import Moco
from stages.features.embed import embed
from stages.features.knn import knn_accuracy
from stages.features.pretrain import begin, pretrain
from tests.unit.drawing import CPU

CIFAR10_JPEG = Path(__file__).resolve().parents[4] / "shared" / "data" / "cifar10-jpeg"
SETTINGS = Moco(
    width=8,
    epochs=10,
    batch_size=64,
    lr=0.1,
    queue=1024,
    splits=4,
    temperature=0.2,
    jitter_probability=0.5,
    gray_probability=0.0,
    knn=200,
    monitor_epochs=10,
)


def read_small(part: str, count: int) -> ImageSet:
    """The first `count` images of a part, averaged down to 16 x 16."""
    table = pq.read_table(CIFAR10_JPEG / f"{part}-00000-of-00001.parquet").slice(0, count)
    pixels = [
        np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB").resize((16, 16), Image.Resampling.BOX))
        for row in table["img"].to_pylist()
    ]
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
    return ImageSet(images, torch.tensor(table["label"].to_pylist()), tuple("0123456789"))


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR10_JPEG.is_dir(), reason=f"the images of {CIFAR10_JPEG} are not here")
def test_moco_lowers_its_loss_and_beats_raw_pixels_and_the_untrained_encoder_on_real_images(tmp_path: Path) -> None:
    """By kNN accuracy with k = 200, cosine for the pixels too. (Pixels less their mean, at .34, take longer to beat.)

    The loss need not fall from epoch to epoch: the queue's keys become harder as the encoder learns.
    """
    train, test = read_small("train", 4000), read_small("test", 1000)

    def accuracy(bank: Tensor, queries: Tensor) -> float:
        return knn_accuracy(bank, train.labels, queries, test.labels, neighbors=200, temperature=0.1)

    pixels = [F.normalize(part.images.float().flatten(1), dim=1) for part in (train, test)]
    torch.manual_seed(0)
    untrained = begin(SETTINGS, 0, train.images).query
    features = [embed(untrained, part.images, embedding="head", batch_size=256, device=CPU) for part in (train, test)]
    torch.manual_seed(0)
    state = pretrain(SETTINGS, 0, train, test, None, tmp_path / "moco.pt", "run")
    losses = [row["loss"] for row in state.history]
    learned = state.history[-1]["knn_accuracy"]
    assert losses[-1] < losses[0]
    assert losses[-1] < math.log(1 + SETTINGS.queue) - 1
    assert learned > accuracy(*pixels)
    assert learned > accuracy(*features)
