"""A training run of three steps an epoch, small enough to be made again and again, and all that it results in."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stages.core.artifacts import ImageSet, Structure
from stages.core.config.method import TrainSettings
from stages.core.config.plugins import declares
from stages.core.images.split import held_out_mask
from stages.core.models import Classifier
from stages.train.loop import Inputs, train
from stages.train.state import TrainState
from tests.unit.drawing import labelled_images, seeded, weights_from
from tests.unit.interrupting import plain

IMAGES, CLASSES, M, SIDE, STEPS, EPOCHS = 43, 3, 2, 6, 3, 4
AT = {"objective": "at", "recipe": "adversarial"}
KEY = "this run"


def picture_set(count: int, seed: int) -> ImageSet:
    return labelled_images(count, seed, SIDE)


def companions(allowed: Tensor) -> Structure:
    """M companions of each image among the allowed (IMAGES,) bool, none of them itself."""
    ids = allowed.nonzero().squeeze(1).tolist()
    rows = [[other for other in ids[index % len(ids) :] + ids if other != index][:M] for index in range(IMAGES)]
    shares = torch.rand(IMAGES, M, generator=seeded(2)).softmax(1)
    return Structure(torch.tensor(rows), shares)


def settings(method: dict[str, Any] | None = None, monitor: int = 4, **recipe: Any) -> TrainSettings:
    raw = {
        "method": method or {},
        "recipe": {
            "epochs": EPOCHS,
            "batch_size": 16,
            "lr": 0.05,
            "schedule": {"kind": "multistep", "milestones": [at for at in (2, 3) if at < recipe.get("epochs", EPOCHS)]},
            "attack": {"epsilon": 0.1, "step_size": 0.05, "steps": 2},
            **recipe,
        },
        "model": {"width": 2},
        "augment": {"padding": 1, "flip": True},
        "monitor": {"anchors": 10, "test_images": monitor},
    }
    chosen = TrainSettings.model_validate(raw)
    return chosen.model_copy(update={"method": chosen.method})


def watched(chosen: TrainSettings, batches: int) -> TrainSettings:
    """The same run with the LSP loss measured on so many of an epoch's batches."""
    return chosen.model_copy(update={"monitor": chosen.monitor.model_copy(update={"training_batches": batches})})


def fresh_net() -> nn.Module:
    with weights_from(5):
        return Classifier("resnet18", width=2, classes=CLASSES)


def inputs(structure: Structure | None = None, monitored: Structure | None = None, helper: bool = False) -> Inputs:
    return Inputs(picture_set(IMAGES, 0), picture_set(7, 1), structure, monitored, fresh_net() if helper else None)


def given(chosen: TrainSettings) -> Inputs:
    """All that the run reads: companions of images that are not held out, and a helper net where it needs one."""
    allowed = ~held_out_mask(IMAGES, 1024)
    needs_helper = declares("objectives", chosen.method.objective.name, "NEEDS_HELPER")
    return inputs(companions(allowed) if chosen.method.lsp else None, companions(allowed), needs_helper)


RUNS: dict[str, TrainSettings] = {
    "vanilla, multistep": settings(),
    "mixup, cosine, watched while training": watched(
        settings({"augmentation": "mixup"}, schedule={"kind": "cosine"}), batches=2
    ),
    "lsp, onecycle": settings({"lsp": {"m": M}}, schedule={"kind": "onecycle"}),
    "lsp+, onecycle, best_robust": settings(
        {**AT, "lsp": {"m": M}}, schedule={"kind": "onecycle"}, nesterov=True, selection="best_robust"
    ),
    "trades, float32, neighborhoods": settings(
        {"objective": "trades", "recipe": "adversarial", "lsp": {"m": M, "batches": "neighborhoods"}},
        precision="float32",
        selection="best_robust",
    ),
    "lsp, bfloat16, neighborhoods": settings({"lsp": {"m": M, "batches": "neighborhoods"}}, precision="bfloat16"),
}


def run(chosen: TrainSettings, given: Inputs, resume: Path) -> TrainState:
    return train(fresh_net(), chosen, given, resume, KEY)


def everything(state: TrainState) -> Any:
    """All that a run results in, but for the time it took."""
    return plain(
        {
            "weights": dict(state.model.state_dict()),
            "best": state.best_weights,
            "best_epoch": state.best_epoch,
            "momentum": [row["momentum_buffer"] for row in state.optimizer.state.values()],
            "lr": [group["lr"] for group in state.optimizer.param_groups],
            "streams": state.streams.state(),
            "history": state.history,
        }
    )


def numbers(images: Tensor, among: ImageSet) -> set[int]:
    """Ids of un-augmented images (B, 3, H, W) in [0, 1]."""
    stored = {row.numpy().tobytes(): index for index, row in enumerate(among.images)}
    return {stored[row.numpy().tobytes()] for row in (images * 255).round().to(torch.uint8)}
