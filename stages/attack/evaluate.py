"""One attack on a classifier and a test set: batch by batch, each batch audited, or all at once with a judge.

A signal cuts the batch in flight, which may take minutes; finished batches are kept (stages/attack/state.py). Random
starts come from a CPU generator seeded by (seed, attack id, place of the batch's first image among those attacked): the
same on every device, whichever attacks run beside it and wherever it was resumed, but another with another batch_size,
a setting of the attack. Of the first images of the file, an image's place is its index.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import pyarrow as pa
import torch
from torch import Tensor, nn

from stages.attack.audit import Verdicts, audit, require_eval_mode, unchanged
from stages.attack.evaluation import Evaluation
from stages.attack.state import Finished
from stages.core.artifacts import ImageSet
from stages.core.config.attacks import Attack
from stages.core.config.plugins import declares, module_name
from stages.core.files import digest
from stages.core.images.perturb import evaluating, without_parameter_gradients
from stages.core.images.pixels import to_unit
from stages.core.images.subset import measured_images
from stages.core.images.threat import Threat
from stages.core.job.interrupt import uninterrupted
from stages.core.job.progress import progress
from stages.core.models.folding import COMPARED, folded
from stages.core.outcomes import OUTCOME_DETAILS, OUTCOME_SCHEMA

AttackFunction = Callable[..., Tensor]
Facts = dict[str, float | int]


@dataclass(frozen=True)
class Trial:
    """An attack, by its id, against a model (in eval mode, on the device) on a test set, under a seed."""

    model: nn.Module
    name: str
    attack: Attack
    test: ImageSet
    seed: int
    device: torch.device

    def images(self, chosen: Tensor) -> Tensor:
        """The test images at `chosen` (n,): (n, C, H, W) in [0, 1] on the device."""
        return to_unit(self.test.images[chosen].to(self.device))

    def labels(self, chosen: Tensor) -> Tensor:
        """Their labels, (n,) on the device."""
        return self.test.labels[chosen].to(self.device)


def evaluate(
    trial: Trial,
    finished: Finished | None = None,
    between_batches: Callable[[], None] = lambda: None,
    skipped: Tensor | None = None,
) -> tuple[pa.Table, Facts]:
    """Outcomes (OUTCOME_SCHEMA) of an attack on the test images that its `images` and `subset` name, summed up.

    The model is left as it was found. finished: what an earlier attempt did, which is not done again and to which the
    rest is added. An attack that declares ALL_AT_ONCE gets all images and a judge (`stages.attack.evaluation`), and its
    outcomes have the columns of OUTCOME_DETAILS too. skipped: indices of images that are left out.
    Facts: seconds, n, clean_accuracy, robust_accuracy, largest_linf, largest_l2.
    Raises AuditError if the attack breaks its bounds or the model.
    """
    finished = Finished() if finished is None else finished
    model, attack = trial.model, trial.attack
    chosen = measured_images(trial.test.labels, attack.images, attack.subset)
    if skipped is not None:
        chosen = chosen[~torch.isin(chosen, skipped)]
    run = _all_at_once if declares("attacks", attack.kind, "ALL_AT_ONCE") else _batch_by_batch
    with evaluating(model), without_parameter_gradients(model), unchanged(model, trial.name):
        table = run(trial, chosen, finished, between_batches)
    return table, {"seconds": round(finished.seconds, 3), **summary(table)}


def _batch_by_batch(trial: Trial, chosen: Tensor, finished: Finished, between_batches: Callable[[], None]) -> pa.Table:
    attack, name = trial.attack, trial.name
    batches = dict(zip(range(0, len(chosen), attack.batch_size), chosen.split(attack.batch_size), strict=True))
    left = {place: indices for place, indices in batches.items() if place not in finished.batches}
    searched = trial.model
    if left and declares("attacks", attack.kind, "FOLDED"):
        searched = folded(trial.model, trial.images(chosen[:COMPARED]))
    with unchanged(searched, name):
        for place, indices in progress(left.items(), f"attack {name}", len(left)):
            started = time.monotonic()
            verdicts = _attack_batch(trial, searched, indices, place)
            with uninterrupted():
                finished.add(place, verdicts, time.monotonic() - started)
            between_batches()
    return pa.concat_tables(
        [
            outcomes(name, indices, trial.test.labels[indices], finished.batches[place])
            for place, indices in batches.items()
        ]
    )


def _attack_batch(trial: Trial, searched: nn.Module, indices: Tensor, place: int) -> Verdicts:
    """Verdicts on one batch, attacked by way of `searched`: the model or its folded copy.

    An attack that CHOOSES returns, of the images it tried, one that the network got wrong. Where the copy did and the
    model does not, rounding has chosen; the batch is attacked again by way of the model, so that no choice is lost.
    Where rounding leads the search itself is another matter, as it is in another batch.
    """
    attack, name, model = trial.attack, trial.name, trial.model
    images, labels = trial.images(indices), trial.labels(indices)
    generator = torch.Generator().manual_seed(stream_seed(trial.seed, name, place))
    require_eval_mode(searched, name)
    threat = Threat(attack.norm, attack.epsilon)
    x_adv = attack_function(attack.kind)(searched, images, labels, threat, generator, **attack.options)
    require_eval_mode(searched, name)
    verdicts = audit(model, name, attack, images, x_adv, labels, indices)
    if searched is not model and declares("attacks", attack.kind, "CHOOSES"):
        with torch.no_grad():
            held = (searched(x_adv).argmax(dim=1) == labels).cpu()
        if bool((verdicts.robust & ~held).any()):
            return _attack_batch(trial, model, indices, place)
    return verdicts


def _all_at_once(trial: Trial, chosen: Tensor, finished: Finished, between_batches: Callable[[], None]) -> pa.Table:
    attack, name, model = trial.attack, trial.name, trial.model
    images, labels = trial.images(chosen), trial.labels(chosen)
    spent, started, record = finished.seconds, time.monotonic(), finished.whole

    def save_if_due() -> None:
        finished.seconds = spent + time.monotonic() - started
        between_batches()

    counted = len(measured_images(trial.test.labels, attack.images, attack.subset))
    evaluation = Evaluation(model, name, attack, images, labels, chosen, trial.seed, record, save_if_due, counted)
    function = attack_function(attack.kind)
    function(model, images, labels, Threat(attack.norm, attack.epsilon), evaluation, **attack.options)
    require_eval_mode(model, name)
    finished.seconds = spent + time.monotonic() - started
    table = outcomes(name, chosen, trial.test.labels[chosen], evaluation.verdicts)
    details = {
        "broken_by": [by or None for by in record.broken_by],
        "iteration": [at if by else None for by, at in zip(record.broken_by, record.iteration.tolist(), strict=True)],
        "forwards": record.forwards.tolist(),
        "backwards": record.backwards.tolist(),
    }
    for column in OUTCOME_DETAILS:
        table = table.append_column(column, pa.array(details[column.name], column.type))
    return table


def attack_function(kind: str) -> AttackFunction:
    """The function of an attack's kind; its hyphens are underscores in file and function."""
    return getattr(import_module(module_name("attacks", kind)), kind.replace("-", "_"))


def stream_seed(seed: int, name: str, place: int) -> int:
    """The seed of one batch's generator, in [0, 2^60)."""
    return int(digest([seed, name, place], length=15), 16)


def outcomes(name: str, indices: Tensor, labels: Tensor, verdicts: Verdicts) -> pa.Table:
    """One row an image; indices (B,): where each stands in the test set."""
    columns = {
        "attack": [name] * len(labels),
        "index": indices.numpy(),
        "label": labels.cpu().numpy(),
        "clean_prediction": verdicts.clean_prediction.numpy(),
        "adversarial_prediction": verdicts.adversarial_prediction.numpy(),
        "robust": verdicts.robust.numpy(),
        "linf": verdicts.linf.float().numpy(),
        "l2": verdicts.l2.float().numpy(),
    }
    return pa.table(columns, schema=OUTCOME_SCHEMA)


def summary(table: pa.Table) -> Facts:
    """Accuracies in [0, 1] and the largest perturbations of a table of outcomes."""
    column = {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}
    return {
        "n": len(table),
        "clean_accuracy": float((column["clean_prediction"] == column["label"]).mean()),
        "robust_accuracy": float(column["robust"].mean()),
        "largest_linf": float(column["linf"].max()),
        "largest_l2": float(column["l2"].max()),
    }
