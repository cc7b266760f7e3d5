"""The training loop: epochs of method_loss, measurements, model selection, a saved state after each epoch."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from stages.core.artifacts import ImageSet, Structure
from stages.core.config import TrainSettings
from stages.core.errors import ArtifactError, DivergenceError
from stages.core.progress import progress, say
from stages.core.split import held_out_mask
from stages.core.threat import Threat
from stages.train.bank import Bank, Streams
from stages.train.batch import Context
from stages.train.compose import method_loss
from stages.train.measure import Accuracy, measure_accuracy, measure_lsp_loss
from stages.train.schedule import build_optimizer, build_schedule
from stages.train.state import TrainState

MEASUREMENT_SEED = 0


@dataclass(frozen=True)
class Inputs:
    """What a run reads: images, the method's structure and the monitor's, and a helper net, all on the device."""

    train: ImageSet
    test: ImageSet
    structure: Structure | None
    monitored: Structure | None
    helper: nn.Module | None


def train(model: nn.Module, settings: TrainSettings, inputs: Inputs, resume: Path, key: str) -> TrainState:
    """Train until the recipe's last epoch, going on from `resume` if it holds a state under `key`.

    Returns the final state, with the selected weights in `best_weights`.
    """
    recipe, method = settings.recipe, settings.method
    device = inputs.train.images.device
    held_out = held_out_mask(len(inputs.train.labels), method.held_out(recipe))
    selecting = bool(held_out.any())
    if method.held_out(recipe) and not selecting:
        raise ArtifactError(
            f"{len(held_out)} training image(s) leave none to hold out for `selection: best_robust`; ten are needed,"
            " or write `selection: last`"
        )
    bank = Bank(
        images=inputs.train.images,
        labels=inputs.train.labels,
        anchors=(~held_out).nonzero().squeeze(1).to(device),
        structure=inputs.structure,
        augment=settings.augment,
        method=method,
    )
    if inputs.structure is not None and bool(held_out.to(device)[inputs.structure.neighbors[bank.anchors]].any()):
        raise ArtifactError(
            "the structure vectors' companions include images held out for model selection;"
            f" rebuild them with held_out: {method.held_out(recipe)}"
        )
    steps = bank.steps(recipe.batch_size)
    if steps == 0:
        raise ArtifactError(f"{len(bank.anchors)} training image(s) make no batch; batch norm needs two at least")
    optimizer = build_optimizer(model, recipe)
    schedule, per_batch = build_schedule(optimizer, recipe, steps)
    state = TrainState(model, optimizer, schedule, Streams.seeded(settings.seed, device))
    state.restore(resume, key)
    attack = recipe.attack
    threat = Threat(attack.norm, attack.epsilon, attack.step_size, attack.steps)
    while state.epoch < recipe.epochs:
        started = time.monotonic()
        ramp = min(1.0, (state.epoch + 1) / attack.ramp_epochs) if attack.ramp_epochs else 1.0
        ramped = replace(threat, epsilon=threat.epsilon * ramp, step_size=threat.step_size * ramp)
        context = Context(ramped, state.streams.attack, inputs.helper)
        row = _epoch(state, bank, settings, context, steps, per_batch)
        if not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
            raise DivergenceError(
                f"weights trained by objective {method.objective.name} are not finite after epoch {state.epoch};"
                " lower lr or the LSP weight; the epoch before is kept"
            )
        row.update(_measure(model, settings, inputs, bank, threat))
        if selecting:
            chosen = _accuracy(model, inputs.train, held_out, threat)
            row.update(validation_clean=chosen.clean, validation_robust=chosen.robust)
            if state.epoch > recipe.validation_from * recipe.epochs or state.epoch == recipe.epochs:
                state.keep_best(chosen.robust)
        row["seconds"] = time.monotonic() - started
        state.history.append(row)
        if not selecting and state.epoch == recipe.epochs:
            state.keep_best(0.0)
        state.save(resume, key)
        say(_line(row, recipe.epochs))
    return state


def _epoch(
    state: TrainState, bank: Bank, settings: TrainSettings, context: Context, steps: int, per_batch: bool
) -> dict[str, float]:
    recipe, method = settings.recipe, settings.method
    sums: dict[str, Tensor] = {}
    seen = 0
    learning_rate = state.optimizer.param_groups[0]["lr"]
    state.model.train()
    batches = bank.batches(recipe.batch_size, state.streams)
    for step, (augmented, neighborhood) in enumerate(progress(batches, f"epoch {state.epoch + 1}", steps), start=1):
        loss, metrics = method_loss(state.model, augmented, neighborhood, method, context)
        if not bool(loss.isfinite()):
            parts = ", ".join(f"{name} {float(value):.4g}" for name, value in metrics.items())
            raise DivergenceError(
                f"loss of objective {method.objective.name} is {float(loss.detach())} at epoch"
                f" {state.epoch + 1} step {step} (parts: {parts});"
                " lower lr or the LSP weight; the last finished epoch is kept"
            )
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        state.optimizer.step()
        if per_batch:
            state.schedule.step()
        for name, value in metrics.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value * len(augmented.images)
        seen += len(augmented.images)
    if not per_batch:
        state.schedule.step()
    state.epoch += 1
    return {"epoch": state.epoch, "lr": learning_rate, **{name: float(total) / seen for name, total in sums.items()}}


def _measure(model: nn.Module, settings: TrainSettings, inputs: Inputs, bank: Bank, threat: Threat) -> dict[str, float]:
    row: dict[str, float] = {}
    if inputs.monitored is not None:
        order = torch.randperm(len(bank.anchors), generator=torch.Generator().manual_seed(MEASUREMENT_SEED))
        anchors = bank.anchors[order[: settings.monitor.anchors].to(bank.anchors.device)]
        row["lsp_loss"] = measure_lsp_loss(model, bank.images, anchors, inputs.monitored)
    if settings.monitor.test_images:
        first = torch.arange(len(inputs.test.labels)) < settings.monitor.test_images
        measured = _accuracy(model, inputs.test, first, threat)
        row.update(clean_accuracy=measured.clean, robust_accuracy=measured.robust)
    return row


def _accuracy(model: nn.Module, images: ImageSet, mask: Tensor, threat: Threat) -> Accuracy:
    chosen = mask.to(images.images.device)
    return measure_accuracy(model, images.images[chosen], images.labels[chosen], threat, MEASUREMENT_SEED)


def _line(row: dict[str, float], epochs: int) -> str:
    parts = [f"{name} {value:.4f}" for name, value in row.items() if name not in ("epoch", "seconds", "lr")]
    return f"epoch {row['epoch']:.0f}/{epochs}: {', '.join(parts)}, {row['seconds']:.1f} s"
