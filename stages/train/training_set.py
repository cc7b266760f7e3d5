"""The training images on the device, and the batches drawn from them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from stages.core.artifacts import Structure
from stages.core.config.data import Augment
from stages.core.config.method import Method
from stages.core.images.augment import crop_flip
from stages.core.images.pixels import to_unit
from stages.train.batch import Augmented
from stages.train.compose import Neighborhood, plugin_function
from stages.train.streams import RandomStreams


@dataclass(frozen=True)
class TrainingSet:
    """All training images uint8 (N, 3, H, W) with labels (N,), the anchors trained on, and their neighbors if any.

    anchors: (A,) ids; structure: companions (N, m) and P_x (N, m), on the same device.
    """

    images: Tensor
    labels: Tensor
    anchors: Tensor
    structure: Structure | None
    augment: Augment
    method: Method

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch; a last batch of one image is dropped, for batch norm cannot do with it."""
        full, rest = divmod(len(self.anchors), batch_size)
        return full + (rest > 1)

    def order(self, streams: RandomStreams) -> Tensor:
        """The anchors (A,) in a fresh random order, for one epoch."""
        return self.anchors[torch.randperm(len(self.anchors), generator=streams.order).to(self.anchors.device)]

    def batch(self, ids: Tensor, streams: RandomStreams) -> tuple[Augmented, Neighborhood | None]:
        """The images of `ids` (B,), augmented, and their neighborhood if the method has an LSP term."""
        images = self._crop_flip(to_unit(self.images[ids]), streams)
        augmentation = self.method.augmentation
        augmented = plugin_function("augmentations", augmentation)(
            images, self.labels[ids], streams.augment, **augmentation.settings
        )
        return augmented, self._neighborhood(ids, streams)

    def _neighborhood(self, ids: Tensor, streams: RandomStreams) -> Neighborhood | None:
        if self.structure is None or self.method.lsp is None:
            return None
        neighbors = to_unit(self.images[self.structure.companions[ids]])
        if self.method.lsp.augment_neighbors:
            shape = neighbors.shape
            neighbors = self._crop_flip(neighbors.flatten(0, 1), streams).view(shape)
        return Neighborhood(neighbors, self.structure.vectors[ids])

    def _crop_flip(self, images: Tensor, streams: RandomStreams) -> Tensor:
        return crop_flip(images, streams.augment, padding=self.augment.padding, flip=self.augment.flip)
