"""The settings of self-supervised pre-training, and of what is taken from the network as an image's features."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from stages.core.config.quantities import (
    BelowOne,
    Count,
    Fraction01,
    NonNegative,
    Positive,
    Seed,
    parse_number,
)
from stages.core.config.recipe import Batch, Epochs, LearningRate
from stages.core.config.section import Section

Hue = Annotated[float, BeforeValidator(parse_number), Field(ge=0, le=0.5)]


class Moco(Section):
    """MoCo pre-training (He et al., 2020); `paper.yaml` follows its authors' CIFAR demo."""

    ADDED: ClassVar = {"initialization": "pytorch", "anneal_to_zero": False}
    width: Count = 64
    dim: Count = 128
    head_layers: Annotated[int, Field(ge=1, le=2)] = Field(1, description="1: linear (v1), 2: with a hidden layer (v2)")
    epochs: Epochs = 200
    batch_size: Batch = 512
    lr: LearningRate = 0.06
    momentum: BelowOne = 0.9
    weight_decay: Fraction01 = 5e-4
    queue: Count = 4096
    key_momentum: BelowOne = 0.99
    temperature: Positive = 0.1
    symmetric: bool = False
    batch_norm: Literal["shuffle", "split"] = Field("split", description="how batch norm is kept from leaking the key")
    splits: Count = Field(8, description="groups that batch norm sees apart")
    initialization: Literal["pytorch", "torchvision"] = Field(
        "pytorch",
        description="of all convolutions but the stem's: PyTorch's default, or torchvision's ResNets' (the demo)",
    )
    anneal_to_zero: bool = Field(
        False, description="true: the cosine reaches 0 in the last epoch (the demo); false: one epoch after it"
    )
    crop_scale: Annotated[float, BeforeValidator(parse_number), Field(gt=0, le=1)] = Field(
        0.2, description="least area of the random resized crop (the demo: 0.08)"
    )
    flip: bool = True
    jitter: tuple[NonNegative, NonNegative, NonNegative, Hue] = (0.4, 0.4, 0.4, 0.1)
    jitter_probability: Fraction01 = 0.8
    gray_probability: Fraction01 = 0.2
    blur_probability: Fraction01 = 0.0
    knn: Count = Field(200, description="neighbors of the kNN-accuracy monitor")
    knn_temperature: Positive = 0.1
    monitor_epochs: Count = Field(10, description="measure kNN accuracy every so many epochs and at the end")

    @model_validator(mode="after")
    def _divides_its_batch(self) -> "Moco":
        if self.batch_size % self.splits or self.batch_size < 2 * self.splits:
            raise ValueError(
                f"splits: {self.splits} groups of equal size, two images or more, do not make a batch of"
                f" {self.batch_size}; choose a divisor of at most half of it"
            )
        return self


class Features(Section):
    """Stage features: the self-supervised network and what is taken from it."""

    source: Literal["moco", "official", "pixels"] = Field(
        "moco", description="trained here, MoCo's authors' ImageNet checkpoint, or the pixels themselves (a control)"
    )
    moco: Moco = Moco()
    checkpoint: str | None = Field(None, description="official: path of the MoCo v2 ResNet-50 checkpoint (.pth.tar)")
    embedding: Literal["head", "backbone"] = Field("head", description="L2-normalized head output, or pooled features")
    batch_size: Count = 512
    seed: Seed = 0

    @model_validator(mode="after")
    def _needs_checkpoint(self) -> "Features":
        if self.source == "official" and self.checkpoint is None:
            raise ValueError("checkpoint: source official needs it, the path of the MoCo v2 file")
        if self.source != "official" and self.checkpoint is not None:
            raise ValueError(f"checkpoint: source {self.source} reads none; leave it out, or write source: official")
        return self
