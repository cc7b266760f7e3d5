"""The training loop: steps of method_loss, measurements and model selection after each epoch, a state saved."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stages.core.artifacts import ImageSet, Structure
from stages.core.config.method import TrainSettings
from stages.core.config.recipe import InnerAttack, Recipe
from stages.core.errors import ArtifactError, DivergenceError
from stages.core.files import digest
from stages.core.images.pixels import to_unit
from stages.core.images.search import Search
from stages.core.images.split import held_out_mask
from stages.core.images.subset import measured_images
from stages.core.images.threat import Threat
from stages.core.job.epochs import course
from stages.core.models.folding import COMPARED
from stages.core.models.precision import tf32
from stages.train.batch import Augmented, Context, Metrics
from stages.train.clusters import grow
from stages.train.compose import Neighborhood, method_loss
from stages.train.measure import (
    Accuracy,
    measure_accuracy,
    measure_lsp_loss,
    measure_training_lsp_loss,
    measuring_steps,
)
from stages.train.schedule import build_optimizer, build_schedule
from stages.train.sharing import Shared
from stages.train.state import Epoch, TrainState
from stages.train.streams import RandomStreams
from stages.train.trained import frozen, trained
from stages.train.training_set import TrainingSet

MEASUREMENT_SEED = 0
CLUSTER = 16


@dataclass(frozen=True)
class Inputs:
    """What a run reads: images, the method's structure and the monitor's, and a helper net, all on the device."""

    train: ImageSet
    test: ImageSet
    structure: Structure | None
    monitored: Structure | None
    helper: nn.Module | None


def train(model: nn.Module, settings: TrainSettings, inputs: Inputs, resume: Path, key: str) -> TrainState:
    """Train until the recipe's last epoch, going on from the file `resume` if it holds a state under `key`.

    Returns the final state, with the selected weights in `best_weights`.
    """
    recipe, attack = settings.recipe, settings.recipe.attack
    held_out = held_out_mask(len(inputs.train.labels), settings.method.held_out(recipe))
    bank = _bank(settings, inputs, held_out)
    steps = bank.steps(recipe.batch_size)
    if steps == 0:
        raise ArtifactError(f"{len(bank.anchors)} training image(s) make no batch; batch norm needs two at least")
    optimizer = build_optimizer(model, recipe)
    schedule, per_batch = build_schedule(optimizer, recipe, steps)
    state = TrainState(model, optimizer, schedule, RandomStreams.seeded(settings.seed, bank.images.device))
    some = to_unit(bank.images[:COMPARED])
    shown = trained(model, recipe.precision, some, recipe.compile)
    helper = None if inputs.helper is None else frozen(inputs.helper, recipe.precision, some)
    threat, search = Threat(attack.norm, attack.epsilon), Search(attack.step_size, attack.steps)
    measured = measuring_steps(settings.monitor.training_batches, steps)
    of, cure = f"loss of objective {settings.method.objective.name}", "lower lr or the LSP weight"
    with course(state, resume, key, what="epoch", epochs=recipe.epochs, loss=of, cure=cure) as left:
        for epoch in left.epochs(lambda: Epoch(bank.order(state.streams), steps, lr=state.lr)):
            context = _context(state, attack, threat, search, helper)
            shared = bank.shared(epoch.order, recipe.batch_size)
            model.train()
            for step in left.steps(epoch):
                if inputs.monitored is not None and step in measured:
                    _watch(state, epoch, bank, settings, inputs.monitored)
                _step(state, shown, epoch, bank, shared[step], settings, context)
                if per_batch or step + 1 == steps:
                    schedule.step()
            _require_finite(state, settings)
            row = _measure(model, shown, settings, inputs, bank, threat, search)
            if settings.method.selects(recipe):
                chosen = _accuracy(model, inputs.train, held_out, threat, search, shown)
                row.update(validation_clean=chosen.clean, validation_robust=chosen.robust)
            with left.finishing(epoch, {"lr": epoch.lr, **epoch.means(), **row}):
                _select(state, recipe)
    return state


def _bank(settings: TrainSettings, inputs: Inputs, held_out: Tensor) -> TrainingSet:
    """The images to train on; ArtifactError where images to hold out are lacking, or are among the companions."""
    at_most = settings.method.held_out(settings.recipe)
    if at_most and not held_out.any():
        raise ArtifactError(
            f"{len(held_out)} training image(s) leave none to hold out for `selection: best_robust`; ten are needed,"
            " or write `selection: last` and no `hold_out`"
        )
    structure, device = inputs.structure, inputs.train.images.device
    anchors = (~held_out).nonzero().squeeze(1).to(device)
    if structure is not None and bool(held_out.to(device)[structure.companions[anchors]].any()):
        raise ArtifactError(
            "the structure vectors' companions include images held out for model selection;"
            f" rebuild them with held_out: {at_most}"
        )
    return TrainingSet(
        images=inputs.train.images,
        labels=inputs.train.labels,
        anchors=anchors,
        structure=structure,
        augment=settings.augment,
        method=settings.method,
        **_neighborhoods(settings, anchors, structure),
    )


def _neighborhoods(settings: TrainSettings, anchors: Tensor, structure: Structure | None) -> dict[str, Any]:
    """How the anchors come in clusters and what a batch of them forwards once, as TrainingSet takes it."""
    lsp = settings.method.lsp
    if lsp is None or structure is None:
        return {}
    if lsp.batches == "random":
        return {} if lsp.augment_neighbors or settings.recipe.precision == "exact" else {"sharing": "neighbors"}
    row = torch.full((len(structure.companions),), -1)
    row[anchors.cpu()] = torch.arange(len(anchors))
    generator = torch.Generator().manual_seed(int(digest([settings.seed, "clusters"], 15), 16))
    grown = grow(row[structure.companions[anchors].cpu()], CLUSTER, generator)
    return {
        "clusters": [anchors[cluster.to(anchors.device)] for cluster in grown],
        "sharing": "neighbors" if settings.method.adversarial() else "batch",
    }


def _context(
    state: TrainState, attack: InnerAttack, threat: Threat, search: Search, helper: nn.Module | None
) -> Context:
    """What the objective is given in the epoch to come, in the ramp's epochs with a smaller ball and step."""
    ramp = min(1.0, (state.epoch + 1) / attack.ramp_epochs) if attack.ramp_epochs else 1.0
    ball = replace(threat, epsilon=threat.epsilon * ramp)
    return Context(ball, replace(search, step_size=search.step_size * ramp), state.streams.attack, helper)


def _step(
    state: TrainState,
    model: nn.Module,
    epoch: Epoch,
    bank: TrainingSet,
    shared: Shared | None,
    settings: TrainSettings,
    context: Context,
) -> None:
    """Draw a batch, update, and put on record what came of it; no part of it waits for a device."""
    augmented, neighborhood = bank.batch(epoch.batch(settings.recipe.batch_size), state.streams, shared)
    epoch.record(_update(state, model, augmented, neighborhood, settings, context))
    epoch.sizes.append(len(augmented.images))


def _update(
    state: TrainState,
    model: nn.Module,
    augmented: Augmented,
    neighborhood: Neighborhood | None,
    settings: TrainSettings,
    context: Context,
) -> Metrics:
    """One update of the weights; the loss and its parts."""
    with tf32(settings.recipe.tf32):
        loss, metrics = method_loss(model, augmented, neighborhood, settings.method, context)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
    state.optimizer.step()
    return {**metrics, "loss": loss.detach()}


def _watch(state: TrainState, epoch: Epoch, bank: TrainingSet, settings: TrainSettings, watched: Structure) -> None:
    """Measure the next step's LSP loss; the random stream hangs on seed, epoch and step, and training's stay."""
    seed = int(digest([settings.seed, state.epoch, epoch.step], 15), 16)
    anchors = epoch.batch(settings.recipe.batch_size)
    epoch.lsp_losses.append(
        measure_training_lsp_loss(state.model, bank.images, anchors, watched, settings.augment, seed)
    )


def _require_finite(state: TrainState, settings: TrainSettings) -> None:
    """DivergenceError unless all weights are finite after an epoch's last step."""
    if not all(bool(value.isfinite().all()) for value in state.model.state_dict().values()):
        raise DivergenceError(
            f"weights trained by objective {settings.method.objective.name} are not finite after epoch"
            f" {state.epoch + 1}; lower lr or the LSP weight"
        )


def _select(state: TrainState, recipe: Recipe) -> None:
    """Keep the weights of the epoch just finished if they are the best so far, or the last where none is selected."""
    row = state.history[-1]
    if "validation_robust" not in row:
        if state.epoch == recipe.epochs:
            state.keep_best(0.0)
    elif state.epoch > recipe.validation_from * recipe.epochs or state.epoch == recipe.epochs:
        state.keep_best(row["validation_robust"])


def _measure(
    model: nn.Module,
    shown: nn.Module,
    settings: TrainSettings,
    inputs: Inputs,
    bank: TrainingSet,
    threat: Threat,
    search: Search,
) -> dict[str, float]:
    row: dict[str, float] = {}
    if inputs.monitored is not None:
        order = torch.randperm(len(bank.anchors), generator=torch.Generator().manual_seed(MEASUREMENT_SEED))
        anchors = bank.anchors[order[: settings.monitor.anchors].to(bank.anchors.device)]
        row["lsp_loss"] = measure_lsp_loss(model, bank.images, anchors, inputs.monitored)
    if settings.monitor.test_images:
        chosen = measured_images(inputs.test.labels, settings.monitor.test_images, settings.monitor.subset)
        measured = _accuracy(model, inputs.test, chosen, threat, search, shown)
        row.update(clean_accuracy=measured.clean, robust_accuracy=measured.robust)
    return row


def _accuracy(
    model: nn.Module, images: ImageSet, chosen: Tensor, threat: Threat, search: Search, shown: nn.Module
) -> Accuracy:
    """Of the images chosen, by a mask (N,) bool or by rows (n,) int64, attacked by way of `shown`."""
    rows = chosen.to(images.images.device)
    pixels, labels = images.images[rows], images.labels[rows]
    return measure_accuracy(model, pixels, labels, threat, search, MEASUREMENT_SEED, shown)
