"""The experiment's settings: one frozen model a section, unknown keys refused, every value bounded and described.

Numbers may be written 8/255 or 1e-1 (which YAML 1.1 reads as a string). This module imports no torch.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from stages.core.components import Component, ComponentError, declares, resolve, settings_identity
from stages.core.quantities import Count, CountOrZero, Fraction01, NonNegative, Number, Positive, parse_whole
from stages.core.section import Section

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


Name = Annotated[str, Field(pattern=NAME)]
Triple = tuple[Number, Number, Number]
Subset = Annotated[
    Literal["stratified", "first"],
    Field(
        description="which of the test images, where not all are taken: stratified, classes in proportion and the same"
        " for everyone, a smaller number part of a larger; or the first of the file"
    ),
]
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
    image_size: Count | None = Field(
        None, description="resize to this many pixels a side; required for images of mixed sizes"
    )
    train_images: Count | None = Field(
        None, description="keep this many training images, classes in proportion; default: all"
    )
    test_images: Count | None = Field(
        None, description="keep this many test images, classes in proportion; default: all"
    )
    subset_seed: CountOrZero = 0
    unlabelled: bool = Field(False, description="stl10: pre-train MoCo on the unlabelled images too")

    def identity(self) -> dict[str, Any]:
        """The canonical form; where files come from and titles are no part of it."""
        return {key: value for key, value in super().identity().items() if key not in ("title", "folder", "mirror")}


class Augment(Section):
    """Crop with padding, then horizontal flip, of the training images."""

    padding: CountOrZero = Field(4, description="zero pixels added on each side before a crop of the original size")
    flip: bool = True


class Model(Section):
    """The classifier."""

    backbone: Literal["resnet18", "preact_resnet18"] = "resnet18"
    width: Count = Field(64, description="channels of the first stage; 64 is ResNet-18")
    mean: Triple = (0.0, 0.0, 0.0)
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)


class Moco(Section):
    """MoCo pre-training (He et al., 2020); `paper.yaml` follows its authors' CIFAR demo."""

    ADDED: ClassVar = {"initialization": "pytorch", "anneal_to_zero": False}
    width: Count = 64
    dim: Count = 128
    head_layers: Annotated[int, Field(ge=1, le=2)] = Field(1, description="1: linear (v1), 2: with a hidden layer (v2)")
    epochs: Count = 200
    batch_size: Annotated[int, BeforeValidator(parse_whole), Field(ge=2)] = 512
    lr: Positive = 0.06
    momentum: Fraction01 = 0.9
    weight_decay: NonNegative = 5e-4
    queue: Count = 4096
    key_momentum: Fraction01 = 0.99
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
    crop_scale: Fraction01 = Field(0.2, description="least area of the random resized crop (the demo: 0.08)")
    flip: bool = True
    jitter: tuple[NonNegative, NonNegative, NonNegative, NonNegative] = (0.4, 0.4, 0.4, 0.1)
    jitter_probability: Fraction01 = 0.8
    gray_probability: Fraction01 = 0.2
    blur_probability: Fraction01 = 0.0
    knn: Count = Field(200, description="neighbors of the kNN-accuracy monitor")
    knn_temperature: Positive = 0.1
    monitor_epochs: Count = Field(10, description="measure kNN accuracy every so many epochs and at the end")


class Features(Section):
    """Stage features: the self-supervised network and what is taken from it."""

    source: Literal["moco", "official", "pixels"] = Field(
        "moco", description="trained here, MoCo's authors' ImageNet checkpoint, or the pixels themselves (a control)"
    )
    moco: Moco = Moco()
    checkpoint: str | None = Field(None, description="official: path of the MoCo v2 ResNet-50 checkpoint (.pth.tar)")
    embedding: Literal["head", "backbone"] = Field("head", description="L2-normalized head output, or pooled features")
    batch_size: Count = 512
    seed: CountOrZero = 0

    @model_validator(mode="after")
    def _needs_checkpoint(self) -> "Features":
        if self.source == "official" and self.checkpoint is None:
            raise ValueError("source: official needs `checkpoint`, the path of the MoCo v2 file")
        return self


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
    seed: CountOrZero = Field(0, description="of what is drawn: global companions, permuted vectors")
    vector: Literal["distances", "uniform", "permuted"] = Field(
        "distances", description="P_x: Eq. 2; or, as controls, 1/m everywhere, or Eq. 2's entries in a random order"
    )


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
        drawn = self.kind == "global" or self.vector == "permuted"
        return StructureSettings(
            kind=self.kind, m=self.m, seed=self.seed if drawn else 0, vector=self.vector, held_out=held_out
        )


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


class InnerAttack(Section):
    """The attack inside adversarial training; its start belongs to the objective."""

    norm: Literal["linf", "l2"] = "linf"
    epsilon: NonNegative = 8 / 255
    step_size: Positive = 2 / 255
    steps: Count = 10
    ramp_epochs: CountOrZero = Field(0, description="epochs in which epsilon grows linearly to its value")


class Schedule(Section):
    """The learning rate over time."""

    kind: Literal["multistep", "onecycle", "cosine", "constant"] = "multistep"
    milestones: tuple[Count, ...] = Field(
        (75, 90), description="multistep: epochs after which lr is multiplied by gamma"
    )
    gamma: Positive = 0.1
    pct_start: Fraction01 = Field(0.25, description="onecycle: share of the steps in which lr rises to `lr`")


class Recipe(Section):
    """Optimizer, schedule, inner attack and model selection of a training run."""

    epochs: Count = 100
    batch_size: Annotated[int, BeforeValidator(parse_whole), Field(ge=2)] = 128
    lr: Positive = Field(0.1, description="the highest learning rate")
    momentum: Fraction01 = 0.9
    nesterov: bool = False
    weight_decay: NonNegative = 2e-4
    schedule: Schedule = Schedule()
    attack: InnerAttack = InnerAttack()
    selection: Literal["last", "best_robust"] = Field(
        "last",
        description="best_robust: adversarial objectives keep the epoch with the best PGD accuracy on held-out images",
    )
    validation_images: Count = Field(1024, description="best_robust: held-out training images, at most a tenth of all")
    validation_from: Fraction01 = Field(0.0, description="share of the epochs after which epochs are candidates")


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
        return declares("objectives", self.objective.name, "ADVERSARIAL")

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
        """The method with every setting of its components filled in from their defaults and checked."""
        try:
            return self.model_copy(
                update={
                    "augmentation": resolve("augmentations", self.augmentation),
                    "objective": resolve("objectives", self.objective),
                }
            )
        except ComponentError as error:
            raise ValueError(str(error)) from error


def _identity(kind: str, component: Component) -> dict[str, Any]:
    return {"name": component.name, **settings_identity(kind, component)}


class Attack(Section):
    """One evaluation attack; what its function takes by keyword (step_size, steps, ...) goes under `options`."""

    ADDED: ClassVar = {"subset": "first"}
    REMOVED: ClassVar = {"bounded": True}
    kind: Name
    label: str = Field("", description="the column's head; default: the attack's key in capitals")
    norm: Literal["linf", "l2"] = "linf"
    epsilon: NonNegative = 8 / 255
    options: dict[str, Any] = Field(default_factory=dict)
    images: Count | None = Field(None, description="attack this many test images; default: all")
    subset: Subset = "stratified"
    batch_size: Count = 256

    @property
    def bounded(self) -> bool:
        """Whether the attack is held to epsilon; where its file declares UNBOUNDED it minimizes its size (CW)."""
        return not declares("attacks", self.kind, "UNBOUNDED")

    def identity(self) -> dict[str, Any]:
        """The canonical form; a label is no part of it, nor a subset of all."""
        form = {
            **super().identity(),
            "options": settings_identity("attacks", Component(name=self.kind, settings=self.options)),
            "bounded": self.bounded,
        }
        unused = {"label"} if self.images is not None else {"label", "subset"}
        return {key: value for key, value in form.items() if key not in unused}

    def resolved(self) -> "Attack":
        """The attack with every option filled in from its function's defaults and checked."""
        try:
            component = resolve("attacks", Component(name=self.kind, settings=self.options))
        except ComponentError as error:
            raise ValueError(str(error)) from error
        return self.model_copy(update={"options": component.settings})


class TrainSettings(Section):
    """Everything the train stage is given."""

    method: Method
    recipe: Recipe
    model: Model
    augment: Augment
    monitor: Monitor
    seed: CountOrZero = 0


class AttackSettings(Section):
    """Everything the attack stage is given: attacks by id."""

    attacks: dict[str, Attack]
    seed: CountOrZero = 0
