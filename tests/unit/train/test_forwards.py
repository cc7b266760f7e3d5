"""Which forward comes first decides batch norm's running statistics: both orders against a computation by hand."""

import importlib
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from stages.core.config.method import Method
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.train.batch import Augmented, Batch, Context, Targets, forwards
from stages.train.compose import Neighborhood, method_loss

ADVERSARIAL = {"at": 1, "trades": 2, "mart": 2, "hat": 3}
BATCH, M, CLASSES, MOMENTUM = 4, 3, 2, 0.1


def pictures(*shape: int, seed: int) -> Tensor:
    return torch.rand((*shape, 3, 2, 2), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net() -> nn.Sequential:
    """Batch norm right on the pixels, so that its statistics are those of the images."""
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm2d(3, momentum=MOMENTUM), nn.Flatten(), nn.Linear(12, CLASSES)).double()


def followed(batches: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Running mean and variance after train-mode forwards of the batches, by the definition."""
    mean, variance = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    for batch in batches:
        pixels = batch.transpose(0, 1).flatten(1)
        mean = (1 - MOMENTUM) * mean + MOMENTUM * pixels.mean(1)
        variance = (1 - MOMENTUM) * variance + MOMENTUM * pixels.var(1, correction=1)
    return mean, variance


@pytest.mark.parametrize("order", ["anchors_first", "neighbors_first"])
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_running_statistics_follow_the_forwards_in_the_order_chosen(
    name: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, neighbors = pictures(BATCH, seed=1), pictures(BATCH, M, seed=2) + 1
    module = importlib.import_module(f"stages.train.objectives.{name}")
    search = "perturb" if hasattr(module, "perturb") else "perturb_by_kl"
    original, calls = getattr(module, search), []

    def spy(model: nn.Module, *rest: Any) -> Tensor:
        calls.append(int(model.state_dict()["0.num_batches_tracked"]))
        return original(model, *rest)

    monkeypatch.setattr(module, search, spy)
    method = Method.model_validate({"objective": name, "lsp": {"m": M, "forward_order": order}})
    model, seen = net().train(), []
    model.register_forward_pre_hook(
        lambda chosen, given: seen.append(given[0].detach().clone()) if chosen.training else None
    )
    hood = Neighborhood(neighbors.flatten(0, 1), torch.full((BATCH, M), 1 / M, dtype=torch.float64))
    context = Context(Threat("linf", 0.1), Search(0.05, 2), torch.Generator().manual_seed(3), net().eval())
    targets = Targets(torch.arange(BATCH) % CLASSES)
    loss, metrics = method_loss(model, Augmented(images, targets), hood, method, context)
    assert calls == [0], "the inner attack comes before every training forward"
    around = [batch for batch in seen if torch.equal(batch, neighbors.flatten(0, 1))]
    anchors = [batch for batch in seen if len(batch) == BATCH]
    assert (len(around), len(anchors)) == (1, ADVERSARIAL[name])
    mean, variance = followed([*anchors, *around] if order == "anchors_first" else [*around, *anchors])
    torch.testing.assert_close(model[0].running_mean, mean)
    torch.testing.assert_close(model[0].running_var, variance)
    assert float(metrics["lsp_term"]) > 0
    assert loss.requires_grad


@pytest.mark.parametrize("extras_first", [False, True])
def test_each_group_gets_its_own_logits_whatever_the_order(extras_first: bool) -> None:
    model, images, others = net().eval(), pictures(BATCH, seed=1), pictures(5, seed=2)
    batch = Batch(images, Targets(torch.zeros(BATCH)), others, extras_first)
    (first, second), extra_logits = forwards(model, batch, images, 1 - images)
    for found, given in ((first, images), (second, 1 - images), (extra_logits, others)):
        assert found is not None
        assert torch.equal(found, model(given))
    alone = Batch(images, Targets(torch.zeros(BATCH)), None, extras_first)
    assert forwards(model, alone, images)[1] is None


def test_an_order_where_there_is_one_forward_is_refused_in_one_line() -> None:
    with pytest.raises(ValidationError, match=r"lsp\.forward_order: objective ce .* one forward") as caught:
        Method.model_validate({"lsp": {"forward_order": "neighbors_first"}})
    assert len(caught.value.errors()) == 1
    for objective in ADVERSARIAL:
        Method.model_validate({"objective": objective, "lsp": {"forward_order": "neighbors_first"}})
