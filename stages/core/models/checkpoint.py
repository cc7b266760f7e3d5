"""The classifier of a checkpoint: weights and the architecture that the file names."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stages.core.artifacts import read_weights
from stages.core.errors import ArtifactError, ConfigError
from stages.core.models import Classifier
from stages.core.models.architectures import Outside, build

SMALL = 10**6  # numbers


def load_classifier(path: Path, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """(classifier in eval mode without parameter gradients, its architecture) on `device`.

    Raises ArtifactError where the weights do not fit the architecture that the file names.
    """
    weights, architecture = read_weights(path)
    try:
        _require_as_large(weights, architecture)
        model = built(architecture)
        model.load_state_dict(weights)
    except ConfigError as error:
        raise ArtifactError(f"{path}: {error}") from error
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        fault = " ".join(str(error).split())
        raise ArtifactError(f"{path}: the weights do not fit the architecture {architecture}: {fault}") from error
    return model.to(device).eval().requires_grad_(False), architecture


def _require_as_large(weights: dict[str, Tensor], architecture: dict[str, Any]) -> None:
    """ValueError for an architecture of ours with far more numbers than the file, before memory is taken for them."""
    if "architecture" in architecture:
        return
    with torch.device("meta"):
        wanted = sum(value.numel() for value in built(architecture).state_dict().values())
    if wanted > SMALL + 2 * (there := sum(value.numel() for value in weights.values())):
        raise ValueError(f"it is of {wanted} numbers and the file of {there}")


def built(architecture: dict[str, Any]) -> nn.Module:
    """The untrained classifier that a checkpoint's header describes: ours, or one from elsewhere by its name."""
    if "architecture" not in architecture:
        return Classifier(**architecture)
    return Outside(build(**architecture), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
