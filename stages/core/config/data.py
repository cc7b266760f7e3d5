"""The settings of images and of the network that classifies them: where they come from, crops, pixel statistics."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stages.core.config.quantities import Count, NonNegative, Positive, Seed, parse_whole
from stages.core.config.section import Section


def _of_unit_pixels(values: tuple[float, float, float]) -> tuple[float, float, float]:
    for value in values:
        if value > 1:
            meant = f"{value / 255:.4g}" if value <= 255 else "a value in [0, 1]"
            raise ValueError(f"pixels are in [0, 1]; did you mean {meant}?")
    return values


Statistics = Annotated[tuple[NonNegative, NonNegative, NonNegative], AfterValidator(_of_unit_pixels)]
Deviations = Annotated[tuple[Positive, Positive, Positive], AfterValidator(_of_unit_pixels)]
DOWNLOADED = ("cifar10", "stl10", "svhn", "tiny-imagenet")
Source = Literal["digits", "cifar10", "stl10", "svhn", "tiny-imagenet", "image-folder", "parquet"]


class Data(Section):
    """Stage data: where the images come from and how many are kept."""

    source: Source
    title: str = Field("", description="the name shown in tables; default: the data set's key")
    folder: str | None = Field(
        None, description="read the files here (environment variables expand); no network is touched"
    )
    mirror: str | None = Field(None, description="download from this URL or folder instead of the official address")
    image_column: str | None = Field(None, description="parquet: the image column; default: detected")
    label_column: str | None = Field(None, description="parquet: the label column; default: detected")
    image_size: Annotated[int, BeforeValidator(parse_whole), Field(ge=1, le=4096)] | None = Field(
        None, description="resize to this many pixels a side; required for images of mixed sizes"
    )
    train_images: Count | None = Field(
        None, description="keep this many training images, classes in proportion; default: all"
    )
    test_images: Count | None = Field(
        None, description="keep this many test images, classes in proportion; default: all"
    )
    subset_seed: Seed = 0
    unlabelled: bool = Field(False, description="stl10: pre-train MoCo on the unlabelled images too")

    @model_validator(mode="after")
    def _of_its_source(self) -> "Data":
        """Refuse a setting that the source needs and lacks, or that would have no effect on it."""
        source = self.source
        if source in ("image-folder", "parquet") and not self.folder:
            raise ValueError(f"folder: source {source} needs it; name the folder that holds the files")
        if source == "digits" and self.folder is not None:
            raise ValueError("folder: the digits come with scikit-learn; leave it out")
        if self.mirror is not None and (self.folder is not None or source not in DOWNLOADED):
            raise ValueError(f"mirror: nothing is downloaded for source {source} as set here; leave it out")
        for key in ("image_column", "label_column"):
            if source != "parquet" and getattr(self, key) is not None:
                raise ValueError(f"{key}: source {source} has no columns; leave it out")
        if self.unlabelled and source != "stl10":
            raise ValueError(f"unlabelled: only stl10 has unlabelled images, not {source}; leave it out")
        return self

    def identity(self) -> dict[str, Any]:
        """The canonical form; where files come from and titles are no part of it."""
        return {key: value for key, value in super().identity().items() if key not in ("title", "folder", "mirror")}


class Augment(Section):
    """Crop with padding, then horizontal flip, of the training images."""

    padding: Annotated[int, BeforeValidator(parse_whole), Field(ge=0, le=512)] = Field(
        4, description="zero pixels added on each side before a crop of the original size"
    )
    flip: bool = True


class Model(Section):
    """The classifier."""

    backbone: Literal["resnet18", "preact_resnet18"] = "resnet18"
    width: Count = Field(64, description="channels of the first stage; 64 is ResNet-18")
    mean: Statistics = Field((0.0, 0.0, 0.0), description="of the pixels, which are in [0, 1], a channel each")
    std: Deviations = (1.0, 1.0, 1.0)
