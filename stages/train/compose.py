"""One training loss from three independent choices: augmentation, objective, LSP term (Eq. 7, 11)."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stages.core.config.method import Method
from stages.core.config.plugins import Plugin, file_name, module_name
from stages.core.errors import ConfigError
from stages.train.batch import Augmented, Batch, Context, Metrics, Scored
from stages.train.lsp import lsp_term


@dataclass(frozen=True)
class Neighborhood:
    """The anchors' neighbors (C, 3, H, W) in [0, 1] and structure vectors P_x (B, m).

    places: (B, m), where in [anchors, neighbors] each anchor's are; None: B * m neighbors, m after m.
    """

    images: Tensor
    structure: Tensor
    places: Tensor | None = None

    def logits(self, anchors: Tensor, neighbors: Tensor) -> Tensor:
        """Each anchor's neighbors' logits (B, m, K), from those of the anchors (B, K) and of the neighbors (C, K)."""
        if self.places is None:
            return neighbors.unflatten(0, self.structure.shape)
        return torch.cat([anchors, neighbors])[self.places]


def plugin_function(kind: str, component: Plugin) -> Callable[..., Any]:
    """The function of an objective or augmentation, found by its file's name."""
    name = component.name.replace("-", "_")
    return getattr(importlib.import_module(module_name(kind, name)), name)


def method_loss(
    model: nn.Module, augmented: Augmented, neighborhood: Neighborhood | None, method: Method, context: Context
) -> tuple[Tensor, Metrics]:
    """objective + consistency of the views, if any + lambda * D(P_x, Q_x), if the method has an LSP term.

    Views and neighbors reach the objective as extras: it alone knows whether they share the anchors' forward.
    """
    groups = [*augmented.views] + ([neighborhood.images] if neighborhood else [])
    extras = torch.cat(groups) if groups else None
    neighbors_first = method.lsp is not None and method.lsp.forward_order == "neighbors_first"
    batch = Batch(augmented.images, augmented.targets, extras, neighbors_first)
    scored: Scored = plugin_function("objectives", method.objective)(model, batch, context, **method.objective.settings)
    if groups and scored.extra_logits is None:
        raise ConfigError(
            f"{file_name('objectives', method.objective.name)} returns no extra logits, and"
            f" {method.extras() or 'the augmentation'} needs them; return what `forwards(model, batch, …)` gives"
            " for the batch's extras as Scored's third value"
        )
    loss, metrics = scored.loss, {"objective_loss": scored.loss.detach(), **scored.metrics}
    logits = [] if scored.extra_logits is None else list(scored.extra_logits.split([len(g) for g in groups]))
    if augmented.consistency is not None:
        consistency = augmented.consistency([scored.anchor_logits, *logits[: len(augmented.views)]])
        loss, metrics["consistency_term"] = loss + consistency, consistency.detach()
    if method.lsp is not None and neighborhood is not None:
        term = lsp_term(
            scored.anchor_logits,
            neighborhood.logits(scored.anchor_logits, logits[-1]),
            neighborhood.structure,
            name=method.lsp.discrepancy,
            reduction=method.lsp.reduction,
            logits=method.lsp.logits,
            stop_gradient=method.lsp.stop_gradient,
        )
        loss, metrics["lsp_term"] = loss + method.lsp.weight * term, term.detach()
    return loss, {"loss": loss.detach(), **metrics}
