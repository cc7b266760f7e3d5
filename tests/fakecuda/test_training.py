"""A training step reads nothing on the host and mixes no devices, on fake CUDA tensors (`fake`)."""

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException

from stages.core.artifacts import ImageSet, Structure
from stages.core.config.data import Augment
from stages.core.config.method import TrainSettings
from stages.core.config.moco import Moco
from stages.core.config.recipe import Norm, Precision
from stages.core.images.pixels import to_unit
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.core.job.epochs import Epoch
from stages.core.models import Classifier
from stages.features import pretrain
from stages.features.embed import embed
from stages.features.network import moco_encoder
from stages.features.step import train_step
from stages.train import loop, measure
from stages.train import state as of_training
from stages.train.batch import Context
from stages.train.schedule import build_optimizer, build_schedule
from stages.train.sharing import Shared
from stages.train.state import TrainState
from stages.train.streams import RandomStreams
from stages.train.trained import Trained, frozen, trained
from tests.fakecuda.fake import CUDA, fake_cuda, move, there, with_gradients

IMAGES, SIDE, M, CLASSES, BATCH = 24, 8, 3, 10, 8
METHODS: dict[str, dict[str, Any]] = {
    "vanilla": {},
    "mixup": {"augmentation": "mixup"},
    "cutmix": {"augmentation": "cutmix"},
    "augmix": {"augmentation": "augmix"},
    "lsp": {"lsp": {"m": M}},
    "lsp, neighborhoods": {"lsp": {"m": M, "batches": "neighborhoods"}},
    "lsp, neighbors as they are": {"lsp": {"m": M, "augment_neighbors": False}},
    **{f"lsp, {name}": {"lsp": {"m": M, "discrepancy": name}} for name in ("l2", "l1", "cosine", "kl")},
    **{f"lsp, {how}": {"lsp": {"m": M, "logits": how}} for how in ("standardized", "batch_standardized")},
    **{name: {"objective": name} for name in ("at", "trades", "mart", "hat", "gradient-norm", "manifold")},
    "lsp+": {"objective": "at", "lsp": {"m": M, "batches": "neighborhoods"}},
    "lsp on hat": {"objective": "hat", "lsp": {"m": M, "forward_order": "neighbors_first"}},
}


def settings(method: dict[str, Any], precision: Precision) -> TrainSettings:
    recipe = {"precision": precision, "batch_size": BATCH}
    return TrainSettings.model_validate(
        {"method": method, "recipe": recipe, "model": {"width": 2}, "augment": {"padding": 1}, "monitor": {}}
    )


def real_pictures() -> Tensor:
    return torch.randint(256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8)


def moved(shown: torch.nn.Module) -> torch.nn.Module:
    """On fake CUDA, with the copy that it is searched by."""
    if isinstance(shown, Trained):
        move(shown._copy.network)
    return move(shown)


@pytest.mark.parametrize("precision", ["exact", "float32", "bfloat16"])
@pytest.mark.parametrize("name", METHODS)
def test_a_step_of_each_method(name: str, precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    step_of(name, precision, monkeypatch)


def step_of(name: str, precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, images = settings(METHODS[name], precision), real_pictures()
    near = (torch.arange(IMAGES)[:, None] + torch.arange(1, M + 1)) % IMAGES
    structure = Structure(near, torch.full((IMAGES, M), 1 / M)) if chosen.method.lsp else None
    real = ImageSet(images, torch.arange(IMAGES) % CLASSES, tuple("abcdefghij"))
    bank = loop._bank(chosen, loop.Inputs(real, real, structure, None, None), torch.zeros(IMAGES, dtype=torch.bool))
    streams = RandomStreams.seeded(0, torch.device("cpu"))
    order = bank.order(streams)
    shared = bank.shared(order, BATCH)[0]
    model, helper = (Classifier("resnet18", width=2, classes=CLASSES) for _ in range(2))
    some = images[:8] / 255
    shown, helped = trained(model, precision, some), frozen(helper.eval(), precision, some)
    with fake_cuda(monkeypatch):
        shown, helped = moved(shown), moved(helped)
        model.train()
        optimizer = build_optimizer(model, chosen.recipe)
        schedule, _ = build_schedule(optimizer, chosen.recipe, 3)
        state = TrainState(model, with_gradients(optimizer), schedule, streams)  # type: ignore[arg-type]
        over = structure and Structure(there(structure.companions), there(structure.vectors))
        bank = replace(bank, images=there(images), labels=there(real.labels), structure=over)
        context = Context(Threat("linf", 0.03), Search(0.01, 2), torch.Generator(), helped)
        given = shared and Shared(there(shared.ids), there(shared.places))
        epoch = of_training.Epoch(there(order), 3, lr=0.1)
        loop._step(state, shown, epoch, bank, given, chosen, context)
        schedule.step()
        assert {value.device for value in epoch.metrics.values()} == {CUDA}
        assert not any(value.requires_grad for value in epoch.metrics.values())
        assert {weight.device for weight in model.state_dict().values()} == {CUDA}


@pytest.mark.parametrize(
    "changes",
    [{}, {"symmetric": True, "batch_norm": "shuffle", "head_layers": 2}, {"blur_probability": 0.5, "flip": False}],
)
def test_a_step_of_moco(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Moco.model_validate({"width": 2, "dim": 6, "batch_size": BATCH, "splits": 2, "queue": 12, **changes})
    images = real_pictures()
    state = pretrain.begin(chosen, 0, images)
    with fake_cuda(monkeypatch):
        move(state.query)
        move(state.key)
        state.queue.keys = there(state.queue.keys)
        state.optimizer = with_gradients(torch.optim.SGD(state.query.parameters(), lr=0.1, momentum=0.9))
        epoch = Epoch(there(torch.arange(IMAGES)), 3)
        loss = train_step(chosen, state, to_unit(there(images)[epoch.batch(BATCH)]))
        epoch.record({"loss": loss})
        assert epoch.metrics["loss"].device == state.queue.keys.device == CUDA


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_is_measured_beside_training(norm: Norm, monkeypatch: pytest.MonkeyPatch) -> None:
    images = real_pictures()
    near = (torch.arange(IMAGES)[:, None] + torch.arange(1, M + 1)) % IMAGES
    structure = Structure(near, torch.full((IMAGES, M), 1 / M))
    with fake_cuda(monkeypatch):
        model = move(Classifier("resnet18", width=2, classes=CLASSES))
        shown, labels = there(images), there(torch.zeros(IMAGES, dtype=torch.int64))
        counts = measure.right(model, shown, labels, Threat(norm, 0.1), Search(0.05, 2), torch.Generator())
        there_too = Structure(there(structure.companions), there(structure.vectors))
        term = measure.measure_training_lsp_loss(model, shown, labels, there_too, Augment(padding=1), 0)
        assert counts.device == term.device == CUDA


@pytest.mark.parametrize("embedding", ["head", "backbone"])
def test_embeddings(embedding: Literal["head", "backbone"], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = moco_encoder(backbone="resnet18", width=2, dim=6, head_layers=1)
    with fake_cuda(monkeypatch):
        move(encoder)
        found = embed(encoder, real_pictures(), embedding=embedding, batch_size=BATCH, device=CUDA)
        assert found.device == CUDA


def test_a_step_that_reads_its_loss_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    original = loop.method_loss

    def reading(*given: Any) -> Any:
        loss, metrics = original(*given)
        assert bool(loss.isfinite())
        return loss, metrics

    monkeypatch.setattr(loop, "method_loss", reading)
    with pytest.raises(DataDependentOutputException):
        step_of("lsp", "exact", monkeypatch)
