"""Optimizer and learning-rate schedule of a recipe."""

from collections.abc import Callable

import torch
from torch import nn
from torch.optim import lr_scheduler

from stages.core.config.recipe import Recipe
from stages.core.errors import ConfigError


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD over all parameters, weight decay on each of them, as the recipes do."""
    return torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        foreach=True,  # the same bits in fewer calls
    )


def build_schedule(
    optimizer: torch.optim.SGD, recipe: Recipe, steps_per_epoch: int
) -> tuple[lr_scheduler.LRScheduler, bool]:
    """(schedule, whether it steps after every batch); otherwise it steps after every epoch.

    onecycle keeps torch's defaults, so momentum cycles 0.95 -> 0.85 -> 0.95 against the learning rate.
    """
    schedule = recipe.schedule
    per_epoch: dict[str, Callable[[], lr_scheduler.LRScheduler]] = {
        "multistep": lambda: lr_scheduler.MultiStepLR(optimizer, list(schedule.milestones), schedule.gamma),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs),
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0),
    }
    if schedule.kind == "onecycle":
        steps = recipe.epochs * steps_per_epoch
        if schedule.pct_start * steps == 1:
            raise ConfigError(
                f"schedule.pct_start: {schedule.pct_start} of {steps} steps leaves lr none to rise in;"
                " change pct_start or epochs"
            )
        return lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps, pct_start=schedule.pct_start), True
    return per_epoch[schedule.kind](), False
