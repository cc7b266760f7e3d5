"""How the local Lipschitz constant of Section 3.3 is measured: whose, on how many test images, in which ball."""

from typing import Literal

from pydantic import Field

from stages.core.config.quantities import Count, Positive, Seed
from stages.core.config.section import Name, Section
from stages.core.config.table import MethodName


class _Search(Section):
    """The ball around each image, and the searches in it."""

    images: Count = Field(200, description="test images, classes in proportion")
    delta: Positive = Field(0.5, description="radius of the L2 ball around an image; pixels are in [0, 1]")
    starts: Count = Field(
        4, description="random starts for each image: of the ascent, and of the attack inside Theorem 1's radius"
    )
    steps: Count = Field(30, description="from each start")


class Lipschitz(_Search):
    """Whose local Lipschitz constants are measured, and how."""

    methods: list[MethodName] | Literal["all"] = Field(
        default_factory=list,
        description="methods and checkpoints of the tables whose every run is measured; all: all of them",
    )

    attack: Name | None = Field(
        None,
        description="column of the tables whose robust accuracy stands beside L_x: an attack's key, with `epsilons` a"
        " dot and the radius behind it (aa.2); default: of the columns that most of the checkpoints have, the last",
    )

    def measures(self, name: str) -> bool:
        """Whether the runs of a method, or a checkpoint, are measured."""
        return self.methods == "all" or name in self.methods

    def settings(self) -> "LipschitzSettings":
        """What each of their jobs is given."""
        return LipschitzSettings(**self.model_dump(exclude={"methods", "attack"}))


class LipschitzSettings(_Search):
    """What the job of a checkpoint is given."""

    seed: Seed = Field(0, description="of the random starts")
