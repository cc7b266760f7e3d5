"""A checkpoint from elsewhere: where it lies, what it is of, and what its file does not say."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from stages.core.config.data import Deviations, Statistics
from stages.core.config.quantities import Count
from stages.core.config.section import Name, Section


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("name the file")
    return value


class WeightsSettings(Section):
    """How the weights of a file become a classifier."""

    architecture: str | None = Field(
        None,
        description="resnet18, preact_resnet18, wrn_28_10, …, torchvision:NAME, timm:NAME, or FILE.py:FUNCTION, code of"
        " yours that is run; default: what the tensors' names and shapes fit",
    )
    weights: str | None = Field(
        None, description="of several state_dicts in the file (an EMA copy, say) the one to take, by its key"
    )
    mean: Statistics | None = Field(
        None, description="of the normalization, pixels being in [0, 1]; default: what the file holds or accuracy tells"
    )
    std: Deviations | None = Field(None, description="the same, its deviation")
    images: Count = Field(500, description="test images that the checks are made on")

    @model_validator(mode="after")
    def _whole(self) -> "WeightsSettings":
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together; write both, or neither to have them found")
        return self


class Checkpoint(WeightsSettings):
    """One of `checkpoints:`, a row of any table under its key."""

    file: Annotated[str, AfterValidator(_not_empty)] = Field(
        description=".pt, .pth, .ckpt or .safetensors (environment variables expand); nothing in it is executed"
    )
    dataset: Name = Field(description="the data set that it classifies")
    title: str = Field("", description="the row's name; default: its key")
