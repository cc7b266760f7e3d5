"""The classifier of a checkpoint: weights and the architecture that the file names."""

from pathlib import Path
from typing import Any

import torch

from stages.core.artifacts import read_weights
from stages.core.errors import ArtifactError
from stages.core.models import Classifier


def load_classifier(path: Path, device: torch.device) -> tuple[Classifier, dict[str, Any]]:
    """(classifier in eval mode without parameter gradients, its architecture) on `device`.

    Raises ArtifactError where the weights do not fit the architecture that the file names.
    """
    weights, architecture = read_weights(path)
    try:
        model = Classifier(**architecture)
        model.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        fault = " ".join(str(error).split())
        raise ArtifactError(f"{path}: the weights do not fit the architecture {architecture}: {fault}") from error
    return model.to(device).eval().requires_grad_(False), architecture
