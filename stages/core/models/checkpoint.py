"""The classifier of a checkpoint: weights and the architecture that the file names."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from stages.core.artifacts import read_weights
from stages.core.errors import ArtifactError
from stages.core.models import Classifier


def load_classifier(path: Path, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """(classifier in eval mode without parameter gradients, its architecture) on `device`.

    Raises ArtifactError where the weights do not fit the architecture that the file names.
    """
    weights, architecture = read_weights(path)
    try:
        model = built(architecture)
        model.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        fault = " ".join(str(error).split())
        raise ArtifactError(f"{path}: the weights do not fit the architecture {architecture}: {fault}") from error
    return model.to(device).eval().requires_grad_(False), architecture


def built(architecture: dict[str, Any]) -> nn.Module:
    """The untrained classifier that a checkpoint's header describes: ours, or one from elsewhere by its name."""
    if "architecture" not in architecture:
        return Classifier(**architecture)
    from stages.core.models.architectures import Outside, build  # imports torchvision, which few checkpoints need

    return Outside(build(**architecture), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
