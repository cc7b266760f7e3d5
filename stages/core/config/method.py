"""The settings of a training run: augmentation, objective and LSP term, and what its history measures."""

from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from stages.core.config.attacks import Subset
from stages.core.config.data import Augment, Model
from stages.core.config.plugins import (
    Plugin,
    PluginError,
    declares,
    file_name,
    is_adversarial,
    resolve,
    scores_no_extras,
    settings_identity,
)
from stages.core.config.quantities import Count, CountOrZero, NonNegative, Seed
from stages.core.config.recipe import Recipe
from stages.core.config.section import Name, Section
from stages.core.config.structure import StructureChoice


class Lsp(StructureChoice):
    """The LSP term: weight * D(P_x, Q_x) (Eq. 4, 7)."""

    ADDED: ClassVar = {
        **StructureChoice.ADDED,
        "logits": "plain",
        "forward_order": "anchors_first",
        "batches": "random",
    }
    weight: NonNegative = Field(1.0, description="lambda")
    discrepancy: Literal["mse", "l2", "l1", "cosine", "kl"] = Field("mse", description="D of Eq. 4, or one of Table 4")
    reduction: Literal["mean", "sum", "batch_sum"] = Field(
        "sum", description="over m: mean or sum, then the mean over the batch; batch_sum: sum over m and batch"
    )
    logits: Literal["plain", "standardized", "batch_standardized"] = Field(
        "plain",
        description="what Q_x is measured on: f(x); f(x) with mean 0 and variance 1 over its classes; or each class"
        " with mean 0 and variance 1 over the batch's anchors and neighbors",
    )
    augment_neighbors: bool = Field(True, description="neighbors get a crop and flip of their own")
    stop_gradient: bool = Field(False, description="no gradient through the neighbors' logits")
    forward_order: Literal["anchors_first", "neighbors_first"] = Field(
        "anchors_first",
        description="adversarial objectives: which forward comes first, and so weighs less in batch norm's statistics",
    )
    batches: Literal["random", "neighborhoods"] = Field(
        "random",
        description="random: of images drawn one by one, as in Algorithm 1; neighborhoods: of clusters of neighbors,"
        " where an image is augmented and forwarded once however many anchors of its batch have it",
    )

    @model_validator(mode="after")
    def _clustered(self) -> "Lsp":
        if self.batches == "neighborhoods" and self.kind == "global":
            raise ValueError("batches: random companions (kind: global) make no clusters; write batches: random")
        if self.batches == "neighborhoods" and not self.augment_neighbors:
            raise ValueError(
                "augment_neighbors: an anchor is augmented, and with batches: neighborhoods it is its neighbors'"
                " neighbor, too; write augment_neighbors: true"
            )
        return self


class Monitor(Section):
    """What every run's history measures, whatever it optimizes."""

    ADDED: ClassVar = {"subset": "first", "training_batches": 0}
    structure: StructureChoice = Field(StructureChoice(), description="whose LSP loss is measured")
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
    title: str = Field("", description="in tables; default: the preset's, or the key of a method of yours")
    augmentation: Plugin = Field(Plugin(name="none"), description="of the batch, after crop and flip")
    objective: Plugin = Field(Plugin(name="ce"), description="the loss without the LSP term")
    lsp: Lsp | None = Field(None, description="the LSP term (Eq. 7); null: none")
    recipe: Name = Field("standard", description="which of `recipes` it is trained by")
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

    @field_validator("augmentation", "objective")
    @classmethod
    def _filled_in(cls, component: Plugin, info: ValidationInfo) -> Plugin:
        """A component has all of its settings, by default what its file says."""
        return resolve(f"{info.field_name}s", component)

    @model_validator(mode="after")
    def _scored(self) -> "Method":
        """An objective's file says whether it is adversarial, and it scores the extras that a method has."""
        self.adversarial()
        objective = self.objective.name
        if self.extras() and scores_no_extras(objective):
            raise PluginError(
                f"{file_name('objectives', objective)} returns no extra logits, and {self.extras()} needs them;"
                " return what `forwards(model, batch, …)` gives for the batch's extras as Scored's third value"
            )
        return self

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

    def check_recipe(self, recipe: Recipe) -> None:
        """ValueError where the recipe compiles what the objective does to the network (its file says UNCOMPILED)."""
        if recipe.compile and declares("objectives", self.objective.name, "UNCOMPILED"):
            raise ValueError(
                f"compile of the recipe: objective {self.objective.name} needs more of a network than torch.compile"
                " leaves; write compile: false"
            )

    def identity(self) -> dict[str, Any]:
        """The canonical form; a title is no part of it."""
        return {
            **super().identity(),
            "title": "",
            "augmentation": _identity("augmentations", self.augmentation),
            "objective": _identity("objectives", self.objective),
        }

    def extras(self) -> str:
        """What of a method an objective must score besides the images: the LSP term's neighbors, AugMix's views."""
        parts = ["the LSP term"] if self.lsp is not None else []
        return " and ".join(parts + (["augmentation augmix"] if self.augmentation.name == "augmix" else []))


def _identity(kind: str, component: Plugin) -> dict[str, Any]:
    return {"name": component.name, **settings_identity(kind, component)}


class TrainSettings(Section):
    """Everything the train stage is given."""

    method: Method
    recipe: Recipe
    model: Model
    augment: Augment
    monitor: Monitor
    seed: Seed = 0

    @model_validator(mode="after")
    def _compatible(self) -> "TrainSettings":
        self.method.check_recipe(self.recipe)
        return self
