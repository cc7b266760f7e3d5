"""The KL term of TRADES and HAT, and the search that ascends it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.train.batch import Batch, Context, Targets
from stages.train.kl import per_example_kl, perturb_by_kl
from stages.train.objectives.trades import trades_loss
from tests.unit.drawing import seeded, weights_from

BATCH, CLASSES = 6, 4


@pytest.fixture
def logits() -> Tensor:
    return 3 * torch.randn(BATCH, CLASSES, generator=seeded(0), dtype=torch.float64)


def test_kl_is_zero_for_equal_predictions_and_positive_for_others(logits: Tensor) -> None:
    assert float(per_example_kl(logits, logits + 5).abs().max()) < 1e-14
    assert float(per_example_kl(logits, logits.roll(1, 1)).min()) > 1e-3


def test_trades_with_equal_logits_is_cross_entropy(logits: Tensor) -> None:
    labels = torch.arange(BATCH) % CLASSES
    loss, metrics = trades_loss(logits, logits.clone(), Targets(labels), beta=6.0)
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels))
    assert abs(float(metrics["robust_loss"])) < 1e-14


def test_the_search_raises_the_kl_of_every_image_inside_the_ball() -> None:
    with weights_from(0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, CLASSES)).double()
    images = torch.rand(BATCH, 3, 2, 2, generator=seeded(1), dtype=torch.float64)
    batch = Batch(images, Targets(torch.zeros(BATCH).long()))
    found = perturb_by_kl(model, batch, Context(Threat("linf", 0.1), Search(0.03, 10), seeded(2)))
    started = (images + 0.001 * torch.randn(images.shape, generator=seeded(3))).clamp(0, 1)
    with torch.no_grad():
        raised, at_start = (per_example_kl(model(images), model(x)) for x in (found, started))
    assert bool((raised > 10 * at_start).all())
    assert float((found - images).abs().max()) <= 0.1 + 1e-12
