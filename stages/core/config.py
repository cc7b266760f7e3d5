"""The experiment's settings: one frozen model a section, unknown keys refused, every value bounded and described.

Numbers may be written 8/255 or 1e-1 (which YAML 1.1 reads as a string). Rules between settings of a section are its
validators, so the plan refuses what breaks them and no stage needs to. This module imports no torch.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from stages.core.attacks import Attack, AttackSettings, Subset
from stages.core.components import (
    Component,
    ComponentError,
    file_name,
    is_adversarial,
    resolve,
    scores_no_companions,
    settings_identity,
)
from stages.core.images import Augment, Data, Model
from stages.core.moco import Features, Moco
from stages.core.quantities import (
    Count,
    CountOrZero,
    NonNegative,
    Number,
    Seed,
    parse_whole,
)
from stages.core.recipe import InnerAttack, Recipe, Schedule
from stages.core.section import Name, Section

__all__ = [
    "Attack",
    "AttackSettings",
    "Augment",
    "Companions",
    "Count",
    "CountOrZero",
    "Data",
    "Features",
    "InnerAttack",
    "Lsp",
    "Method",
    "Moco",
    "Model",
    "Monitor",
    "Name",
    "NeighborSearch",
    "Number",
    "Recipe",
    "Schedule",
    "Seed",
    "StructureChoice",
    "StructureSettings",
    "TrainSettings",
]


class NeighborSearch(Section):
    """Stage neighbors: the FAISS index and the search."""

    depth: Count = Field(32, description="neighbors kept for each image; m can be anything up to it")
    index: Literal["exact", "ivf"] = "exact"
    lists: Count = Field(1024, description="ivf: number of cells")
    probes: Count = Field(32, description="ivf: cells searched")
    extra: CountOrZero = Field(16, description="candidates beyond depth, re-ranked by exact float64 distances")
    recall_sample: Count = Field(1000, description="ivf: anchors whose recall is measured against exact search")


class Companions(Section):
    """Which companions an anchor has, how many, and its vector P_x over them."""

    ADDED: ClassVar = {"vector": "distances"}
    kind: Literal["local", "global"] = Field(
        "local", description="nearest neighbors, or random training images (Table 3)"
    )
    m: Annotated[int, BeforeValidator(parse_whole), Field(ge=2)] = 8
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


class Lsp(StructureChoice):
    """The LSP term: weight * D(P_x, Q_x) (Eq. 4, 7)."""

    ADDED: ClassVar = {**StructureChoice.ADDED, "logits": "plain", "forward_order": "anchors_first"}
    weight: NonNegative = Field(1.0, description="lambda")
    discrepancy: Literal["mse", "l2", "l1", "cosine", "kl"] = "mse"
    reduction: Literal["mean", "sum", "batch_sum"] = Field(
        "sum", description="over m: mean or sum, then the mean over the batch; batch_sum: sum over m and batch"
    )
    logits: Literal["plain", "standardized", "batch_standardized"] = Field(
        "plain",
        description="what Q_x is measured on: f(x); f(x) with mean 0 and variance 1 over its classes; or each class"
        " with mean 0 and variance 1 over the batch's anchors and neighbors",
    )
    augment_neighbors: bool = True
    stop_gradient: bool = Field(False, description="no gradient through the neighbors' logits")
    forward_order: Literal["anchors_first", "neighbors_first"] = Field(
        "anchors_first",
        description="adversarial objectives: which forward comes first, and so weighs less in batch norm's statistics",
    )


class Monitor(Section):
    """What every run's history measures, whatever it optimizes."""

    ADDED: ClassVar = {"subset": "first", "training_batches": 0}
    structure: StructureChoice = StructureChoice()
    anchors: Count = Field(
        1024, description="fixed training anchors on which the LSP loss is measured at each epoch's end"
    )
    test_images: CountOrZero = Field(
        512, description="test images scored after each epoch, clean and under the recipe's PGD; never selects"
    )
    subset: Subset = "stratified"
    training_batches: CountOrZero = Field(
        0,
        description="batches an epoch on which the LSP loss is measured as a training loss: augmented, in train mode,"
        " while the weights move (the paper's Figure 3)",
    )


class Method(Section):
    """Three independent choices - augmentation, objective, LSP term - and the recipe they are trained with."""

    ADDED: ClassVar = {"hold_out": False}
    title: str = Field("", description="the name shown in tables; default: the method's key in capitals")
    augmentation: Component = Component(name="none")
    objective: Component = Component(name="ce")
    lsp: Lsp | None = None
    recipe: Name = "standard"
    helper: Name | None = Field(None, description="the method whose checkpoint an objective needs as its helper net")
    hold_out: bool = Field(
        False,
        description="standard objectives: leave out of training what adversarial methods with this recipe select on",
    )

    @field_validator("recipe", mode="before")
    @classmethod
    def _names_a_recipe(cls, value: Any) -> Any:
        if isinstance(value, dict):
            changes = ", ".join(f"{key}: {item}" for key, item in value.items())
            raise ValueError(
                "is the name of a stanza of `recipes`, which a method cannot change in part; write"
                f" `recipes: {{other: {{…, {changes}}}}}` and name it here, or `vary: {{recipe: [standard, other]}}`"
            )
        return value

    @model_validator(mode="after")
    def _compatible(self) -> "Method":
        if self.lsp is not None and self.augmentation.name in ("mixup", "cutmix"):
            raise ValueError(
                f"lsp with {self.augmentation.name}: an anchor mixed of two images has no neighbors; drop one"
            )
        return self

    @model_validator(mode="after")
    def _in_effect(self) -> "Method":
        """An option that would change nothing is refused: whoever sets it expects a difference."""
        if self.lsp is not None and self.lsp.forward_order == "neighbors_first" and not self.adversarial():
            raise ValueError(
                f"lsp.forward_order: objective {self.objective.name} has anchors and neighbors in one forward, where"
                " none is first; leave it out, or take an adversarial objective"
            )
        if self.hold_out and self.adversarial():
            raise ValueError(
                f"hold_out: objective {self.objective.name} leaves out what it selects on by itself; leave it out"
            )
        return self

    def adversarial(self) -> bool:
        """Whether the objective trains on adversarial images (its file declares ADVERSARIAL)."""
        return is_adversarial(self.objective.name)

    def selects(self, recipe: Recipe) -> bool:
        """Whether the kept epoch is the best on held-out images, and not the last."""
        return self.adversarial() and recipe.selection == "best_robust"

    def held_out(self, recipe: Recipe) -> int:
        """How many training images at most are left out of training."""
        held_out = self.selects(recipe) or (self.hold_out and recipe.selection == "best_robust")
        return recipe.validation_images if held_out else 0

    def identity(self) -> dict[str, Any]:
        """The canonical form; a title is no part of it."""
        return {
            **super().identity(),
            "title": "",
            "augmentation": _identity("augmentations", self.augmentation),
            "objective": _identity("objectives", self.objective),
        }

    def resolved(self) -> "Method":
        """The method with every setting of its components filled in from their defaults, and all of it checked."""
        found = {
            "augmentation": resolve("augmentations", self.augmentation),
            "objective": resolve("objectives", self.objective),
        }
        objective = self.objective.name
        is_adversarial(objective)  # it has to say
        if self.companions() and scores_no_companions(objective):
            raise ComponentError(
                f"{file_name('objectives', objective)} returns no companion logits, and {self.companions()} needs them;"
                " return `score_companions(model, batch)` as Scored's third value"
            )
        return self.model_copy(update=found)

    def companions(self) -> str:
        """What of a method an objective must score besides the images: the LSP term's neighbors, AugMix's views."""
        parts = ["the LSP term"] if self.lsp is not None else []
        return " and ".join(parts + (["augmentation augmix"] if self.augmentation.name == "augmix" else []))


def _identity(kind: str, component: Component) -> dict[str, Any]:
    return {"name": component.name, **settings_identity(kind, component)}


class TrainSettings(Section):
    """Everything the train stage is given."""

    method: Method
    recipe: Recipe
    model: Model
    augment: Augment
    monitor: Monitor
    seed: Seed = 0
