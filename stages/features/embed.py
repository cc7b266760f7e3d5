"""Embeddings of un-augmented images: by an encoder in eval mode, or, as a control, the pixels themselves."""

from typing import Literal

import torch
from torch import Tensor

from stages.core.images.perturb import evaluating
from stages.core.images.pixels import to_unit
from stages.core.job.progress import progress
from stages.features.network import Encoder


@torch.no_grad()
def embed(
    encoder: Encoder, images: Tensor, *, embedding: Literal["head", "backbone"], batch_size: int, device: torch.device
) -> Tensor:
    """Embeddings (N, D) float32 on the device, of uint8 images (N, 3, H, W).

    embedding: `head` is the L2-normalized output of the head, `backbone` the pooled features as they are.
    """
    network = encoder if embedding == "head" else encoder.pooled
    batches = images.split(batch_size)
    with evaluating(encoder):
        return torch.cat([network(to_unit(batch.to(device))) for batch in progress(batches, "embed", len(batches))])


def pixels(images: Tensor) -> Tensor:
    """uint8 images (N, 3, H, W) -> their pixels (N, 3 * H * W) float32 in [0, 1]; distances are between images then."""
    return to_unit(images.flatten(1))
