"""The settings of the neighbor search and of structure vectors: which companions an anchor has, and P_x over them."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from stages.core.config.quantities import Count, CountOrZero, Seed, parse_whole
from stages.core.config.section import Section


class NeighborSearch(Section):
    """Stage neighbors: the FAISS index and the search."""

    depth: Count = Field(32, description="neighbors kept for each image; m can be anything up to it")
    index: Literal["exact", "ivf"] = Field("exact", description="compare all images, or those of some cells")
    lists: Count = Field(1024, description="ivf: number of cells")
    probes: Count = Field(32, description="ivf: cells searched")
    extra: CountOrZero = Field(16, description="candidates beyond depth, re-ranked by exact float64 distances")
    recall_sample: Count = Field(1000, description="ivf: anchors whose recall is measured against exact search")

    @model_validator(mode="after")
    def _has_cells(self) -> "NeighborSearch":
        for key in ("lists", "probes", "recall_sample"):
            value = getattr(self, key)
            if self.index == "exact" and value != type(self).model_fields[key].default:
                raise ValueError(f"{key}: {value} is nothing to an exact search; set `index: ivf`, or leave it out")
        return self


class Companions(Section):
    """Which companions an anchor has, how many, and its vector P_x over them."""

    ADDED: ClassVar = {"vector": "distances"}
    kind: Literal["local", "global"] = Field(
        "local", description="nearest neighbors, or random training images (Table 3)"
    )
    m: Annotated[int, BeforeValidator(parse_whole), Field(ge=2)] = Field(8, description="companions of an anchor")
    seed: Seed = Field(0, description="of what is drawn: global companions, permuted vectors")
    vector: Literal["distances", "uniform", "permuted"] = Field(
        "distances", description="P_x: Eq. 2; or, as controls, 1/m everywhere, or Eq. 2's entries in a random order"
    )

    @model_validator(mode="after")
    def _draws(self) -> "Companions":
        if self.seed and not self.draws():
            raise ValueError(f"seed: kind {self.kind} with vector {self.vector} draws nothing; leave it out")
        return self

    def draws(self) -> bool:
        """Whether anything is random."""
        return self.kind == "global" or self.vector == "permuted"


class StructureSettings(Companions):
    """Everything the structure stage is given."""

    held_out: CountOrZero = Field(0, description="held-out training images (core.split) that are nobody's companion")


class StructureChoice(Companions):
    """Stage structure, as a method or the monitor chooses it."""

    ADDED: ClassVar = {**Companions.ADDED, "space": "features"}
    REMOVED: ClassVar = {"held_out": 0}
    space: Literal["features", "pixels"] = Field(
        "features", description="where neighbors and distances are taken: the data set's features, or raw pixels"
    )

    def structure(self, held_out: int) -> StructureSettings:
        """What the structure stage is given for a run that holds out so many images."""
        return StructureSettings(kind=self.kind, m=self.m, seed=self.seed, vector=self.vector, held_out=held_out)
