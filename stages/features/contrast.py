"""Momentum contrast (He et al., 2020): InfoNCE (Eq. 1), the queue of keys, the momentum update (Eq. 2)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn


def info_nce(queries: Tensor, keys: Tensor, negatives: Tensor, *, temperature: float) -> Tensor:
    """-log(exp(q.k+ / tau) / sum over k+ and the negatives of exp(q.k / tau)), averaged over the batch.

    queries, keys: (B, D) of length 1, row i of both from image i; negatives: (K, D); temperature: tau.
    """
    positive = (queries * keys).sum(dim=1, keepdim=True)
    logits = torch.cat([positive, queries @ negatives.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(queries), dtype=torch.long, device=queries.device))


class Queue:
    """The newest keys (K, D) of earlier batches, first in, first out; random directions to begin with."""

    def __init__(self, size: int, dim: int, generator: Generator, device: torch.device) -> None:
        noise = torch.randn((size, dim), generator=generator, device=generator.device)
        self.keys = F.normalize(noise, dim=1).to(device)
        self.pointer = 0

    def push(self, keys: Tensor) -> None:
        """Put keys (B, D) in the places of the oldest; of more than fit, the last are kept."""
        size = len(self.keys)
        kept = keys.detach()[-size:]
        places = (self.pointer + torch.arange(len(kept), device=keys.device)) % size
        self.keys[places] = kept
        self.pointer = (self.pointer + len(kept)) % size


@torch.no_grad()
def momentum_update(key_encoder: nn.Module, query_encoder: nn.Module, *, momentum: float) -> None:
    """theta_k <- momentum * theta_k + (1 - momentum) * theta_q (Eq. 2); batch-norm statistics stay each one's own."""
    for slow, fast in zip(key_encoder.parameters(), query_encoder.parameters(), strict=True):
        slow.mul_(momentum).add_(fast, alpha=1 - momentum)


@torch.no_grad()
def shuffled_keys(key_encoder: Callable[[Tensor], Tensor], images: Tensor, generator: Generator) -> Tensor:
    """Keys (B, D) of images mixed for the forward pass, so that batch-norm groups differ from the queries'."""
    order = torch.randperm(len(images), generator=generator, device=generator.device).to(
        images.device, non_blocking=True
    )
    return key_encoder(images[order])[order.argsort()]
