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
from stages.core.config.recipe import Batch, Epochs, LearningRate, Precision, check_rounds
from stages.core.config.section import Section

Hue = Annotated[float, BeforeValidator(parse_number), Field(ge=0, le=0.5)]


class Moco(Section):
    """MoCo pre-training (He et al., 2020); `paper.yaml` follows its authors' CIFAR demo."""

    ADDED: ClassVar = {"initialization": "pytorch", "anneal_to_zero": False, "precision": "exact", "tf32": False}
    width: Count = Field(64, description="channels of the encoder's first stage")
    dim: Count = Field(128, description="dimensions of the embedding")
    head_layers: Annotated[int, Field(ge=1, le=2)] = Field(1, description="1: linear (v1), 2: with a hidden layer (v2)")
    epochs: Epochs = Field(200, description="passes over the images")
    batch_size: Batch = Field(512, description="images a step; the last batch is dropped where it is not full")
    lr: LearningRate = Field(0.06, description="of SGD, at the start of the cosine")
    momentum: BelowOne = Field(0.9, description="of SGD")
    weight_decay: Fraction01 = Field(5e-4, description="of SGD")
    queue: Count = Field(4096, description="keys of earlier batches that are the negatives; at most half of the images")
    key_momentum: BelowOne = Field(0.99, description="how slowly the key encoder follows")
    temperature: Positive = Field(0.1, description="of InfoNCE")
    symmetric: bool = Field(False, description="each of the two views is query once and key once")
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
    flip: bool = Field(True, description="horizontal flips")
    jitter: tuple[NonNegative, NonNegative, NonNegative, Hue] = Field(
        (0.4, 0.4, 0.4, 0.1), description="strengths of brightness, contrast, saturation and hue"
    )
    jitter_probability: Fraction01 = Field(0.8, description="share of the views that are jittered")
    gray_probability: Fraction01 = Field(0.2, description="share of the views that are made gray")
    blur_probability: Fraction01 = Field(0.0, description="share of the views that are blurred")
    knn: Count = Field(200, description="neighbors of the kNN-accuracy monitor")
    knn_temperature: Positive = Field(0.1, description="of the votes of that monitor's neighbors")
    monitor_epochs: Count = Field(10, description="measure kNN accuracy every so many epochs and at the end")
    precision: Precision = Field(
        "exact",
        description="of the steps: exact and float32 repeat the published runs bit for bit; bfloat16 computes so what"
        " lies between the pixels and the pooling",
    )
    tf32: bool = Field(False, description="CUDA, float32 and bfloat16: the steps' float32 products round to TF32")

    @model_validator(mode="after")
    def _divides_its_batch(self) -> "Moco":
        if self.batch_size % self.splits or self.batch_size < 2 * self.splits:
            raise ValueError(
                f"splits: {self.splits} groups of equal size, two images or more, do not make a batch of"
                f" {self.batch_size}; choose a divisor of at most half of it"
            )
        check_rounds(self.precision, self.tf32)
        return self


class Features(Section):
    """Stage features: the self-supervised network and what is taken from it."""

    source: Literal["moco", "official", "pixels"] = Field(
        "moco", description="trained here, MoCo's authors' ImageNet checkpoint, or the pixels themselves (a control)"
    )
    moco: Moco = Field(Moco(), description="how MoCo is trained")
    checkpoint: str | None = Field(None, description="official: path of the MoCo v2 ResNet-50 checkpoint (.pth.tar)")
    embedding: Literal["head", "backbone"] = Field("head", description="L2-normalized head output, or pooled features")
    batch_size: Count = Field(512, description="images embedded at a time")
    seed: Seed = Field(0, description="of MoCo's weights, order and views")

    @model_validator(mode="after")
    def _needs_checkpoint(self) -> "Features":
        if self.source == "official" and self.checkpoint is None:
            raise ValueError("checkpoint: source official needs it, the path of the MoCo v2 file")
        if self.source != "official" and self.checkpoint is not None:
            raise ValueError(f"checkpoint: source {self.source} reads none; leave it out, or write source: official")
        return self
