"""What the pictures of a data set show: how many anchors and test images, and how the images are attacked."""

from pydantic import Field, model_validator

from stages.core.config.quantities import Count, Positive, Seed
from stages.core.config.recipe import check_scale
from stages.core.config.section import Section
from stages.core.config.table import MethodName

CHECKPOINT = "checkpoint "  # in front of the names of checkpoints among a job's inputs


class PicturesSettings(Section):
    """What the job of a data set's pictures is given."""

    anchors: Count = Field(3, description="anchors of each kind: good, typical and bad ones")
    images: Count = Field(6, description="test images that are attacked, classes in proportion")
    epsilons: dict[MethodName, Positive] = Field(
        default_factory=dict,
        description="radius of the L-infinity ball by the checkpoint's name; 8/255 for one that is not named",
    )
    steps: Count = Field(20, description="of PGD, each a quarter of the radius long")
    seed: Seed = Field(0, description="of the random start, the same for every checkpoint")

    @model_validator(mode="after")
    def _scaled(self) -> "PicturesSettings":
        check_scale("linf", **self.epsilons)
        return self
