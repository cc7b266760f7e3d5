"""The training images on the device, and the batches drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stages.core.artifacts import Structure
from stages.core.config.data import Augment
from stages.core.config.method import Method
from stages.core.images.augment import crop_flip
from stages.core.images.pixels import to_unit
from stages.train.batch import Augmented
from stages.train.compose import Neighborhood, plugin_function
from stages.train.sharing import Shared, share
from stages.train.streams import RandomStreams


@dataclass(frozen=True)
class TrainingSet:
    """All training images uint8 (N, 3, H, W) with labels (N,), the anchors trained on, and their neighbors if any.

    anchors: (A,) ids; structure: companions (N, m) and P_x (N, m), on the same device. clusters: the anchors in groups
    that stay together in an epoch's order. sharing: neighbors - a companion of several anchors of a batch is forwarded
    once; batch - and not at all where it is an anchor of the batch itself.
    """

    images: Tensor
    labels: Tensor
    anchors: Tensor
    structure: Structure | None
    augment: Augment
    method: Method
    clusters: list[Tensor] | None = None
    sharing: Literal["none", "neighbors", "batch"] = "none"

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch; a last batch of one image is dropped, for batch norm cannot do with it."""
        full, rest = divmod(len(self.anchors), batch_size)
        return full + (rest > 1)

    def order(self, streams: RandomStreams) -> Tensor:
        """The anchors (A,) in a fresh random order, for one epoch."""
        if self.clusters is not None:
            order = torch.randperm(len(self.clusters), generator=streams.order).tolist()
            return torch.cat([self.clusters[cluster] for cluster in order]).to(self.anchors.device)
        return self.anchors[torch.randperm(len(self.anchors), generator=streams.order).to(self.anchors.device)]

    def shared(self, order: Tensor, batch_size: int) -> Sequence[Shared | None]:
        """What the batches of an epoch in this order share; None: each anchor has its companions for itself."""
        if self.structure is None or self.sharing == "none":
            return [None] * self.steps(batch_size)
        return share(order, self.structure.companions, batch_size, anchors_too=self.sharing == "batch")

    def batch(
        self, ids: Tensor, streams: RandomStreams, shared: Shared | None = None
    ) -> tuple[Augmented, Neighborhood | None]:
        """The images of `ids` (B,), augmented, and their neighborhood if the method has an LSP term."""
        images = self._crop_flip(to_unit(self.images[ids]), streams)
        augmentation = self.method.augmentation
        augmented = plugin_function("augmentations", augmentation)(
            images, self.labels[ids], streams.augment, **augmentation.settings
        )
        return augmented, self._neighborhood(ids, streams, shared)

    def _neighborhood(self, ids: Tensor, streams: RandomStreams, shared: Shared | None) -> Neighborhood | None:
        if self.structure is None or self.method.lsp is None:
            return None
        companions = self.structure.companions[ids].flatten() if shared is None else shared.ids
        neighbors = to_unit(self.images[companions])
        if self.method.lsp.augment_neighbors:
            neighbors = self._crop_flip(neighbors, streams)
        return Neighborhood(neighbors, self.structure.vectors[ids], None if shared is None else shared.places)

    def _crop_flip(self, images: Tensor, streams: RandomStreams) -> Tensor:
        return crop_flip(images, streams.augment, padding=self.augment.padding, flip=self.augment.flip)
