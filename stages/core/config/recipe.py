"""The settings of a training run's recipe: optimizer, schedule, inner attack and model selection."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from stages.core.config.quantities import (
    BelowOne,
    Count,
    CountOrZero,
    Fraction01,
    NonNegative,
    Positive,
    parse_number,
    parse_whole,
)
from stages.core.config.section import Section

LearningRate = Annotated[float, BeforeValidator(parse_number), Field(gt=0, le=100)]
Epochs = Annotated[int, BeforeValidator(parse_whole), Field(ge=1, le=100_000)]
Batch = Annotated[int, BeforeValidator(parse_whole), Field(ge=2, le=1_000_000)]
Norm = Literal["linf", "l2"]
Precision = Literal["exact", "float32", "bfloat16"]


def check_scale(norm: Norm, **radii: float) -> None:
    """ValueError for an L-infinity epsilon or step, by its name, that reaches across [0, 1]: it is of 0 to 255."""
    for name, radius in radii.items():
        if norm == "linf" and radius >= 1:
            raise ValueError(
                f"{name}: {radius:g} takes any pixel to any value, pixels being in [0, 1]; did you mean {radius:g}/255?"
            )


def check_rounds(precision: Precision, tf32: bool) -> None:
    """ValueError for TF32 where the bits of earlier runs are asked for."""
    if tf32 and precision == "exact":
        raise ValueError("tf32: true rounds, and precision: exact does not; write precision: float32")


class InnerAttack(Section):
    """The attack inside adversarial training; its start belongs to the objective."""

    norm: Norm = Field("linf", description="of the ball")
    epsilon: NonNegative = Field(8 / 255, description="radius of the ball")
    step_size: Positive = Field(2 / 255, description="length of a step, in the same norm")
    steps: Annotated[int, BeforeValidator(parse_whole), Field(ge=1, le=100_000)] = Field(
        10, description="steps of a search"
    )
    ramp_epochs: CountOrZero = Field(0, description="epochs in which epsilon grows linearly to its value")

    @model_validator(mode="after")
    def _scaled(self) -> "InnerAttack":
        check_scale(self.norm, epsilon=self.epsilon, step_size=self.step_size)
        return self


class Schedule(Section):
    """The learning rate over time."""

    kind: Literal["multistep", "onecycle", "cosine", "constant"] = Field(
        "multistep", description="how the learning rate goes from lr on"
    )
    milestones: tuple[Count, ...] = Field(
        (75, 90), description="multistep: epochs after which lr is multiplied by gamma"
    )
    gamma: Annotated[float, BeforeValidator(parse_number), Field(gt=0, le=1)] = Field(
        0.1, description="multistep: the factor"
    )
    pct_start: BelowOne = Field(0.25, description="onecycle: share of the steps in which lr rises to `lr`")

    @model_validator(mode="after")
    def _in_order(self) -> "Schedule":
        if any(later <= earlier for earlier, later in zip(self.milestones, self.milestones[1:], strict=False)):
            raise ValueError(f"milestones: {list(self.milestones)} do not rise; write each epoch once, in order")
        return self


class Recipe(Section):
    """Optimizer, schedule, inner attack, model selection and precision of a training run."""

    ADDED: ClassVar = {"precision": "exact", "tf32": False, "compile": False}
    epochs: Epochs = Field(100, description="passes over the training images")
    batch_size: Batch = Field(128, description="images a step; a last batch of one image is left out")
    lr: LearningRate = Field(0.1, description="the highest learning rate")
    momentum: BelowOne = Field(0.9, description="of SGD; onecycle cycles it between 0.85 and 0.95 instead")
    nesterov: bool = Field(False, description="Nesterov's momentum")
    weight_decay: Fraction01 = Field(2e-4, description="of SGD, on every parameter")
    schedule: Schedule = Field(Schedule(), description="of the learning rate")
    attack: InnerAttack = Field(InnerAttack(), description="PGD of adversarial objectives, selection and monitor")
    selection: Literal["last", "best_robust"] = Field(
        "last",
        description="best_robust: adversarial objectives keep the epoch with the best PGD accuracy on held-out images",
    )
    validation_images: Count = Field(1024, description="best_robust: held-out training images, at most a tenth of all")
    validation_from: Fraction01 = Field(0.0, description="share of the epochs after which epochs are candidates")
    precision: Precision = Field(
        "exact",
        description="of the steps: exact repeats the published runs bit for bit; float32 searches adversarial images"
        " with batch norm folded into the convolutions; bfloat16 computes so what lies between the pixels and the"
        " pooling, too",
    )
    tf32: bool = Field(False, description="CUDA, float32 and bfloat16: the steps' float32 products round to TF32")
    compile: bool = Field(
        False, description="float32 and bfloat16: the steps' forwards and backwards go through torch.compile"
    )

    @model_validator(mode="after")
    def _compatible(self) -> "Recipe":
        late = [epoch for epoch in self.schedule.milestones if epoch >= self.epochs]
        if self.schedule.kind == "multistep" and late:
            raise ValueError(
                f"schedule.milestones: after epoch {late[0]} of {self.epochs} lr changes for nothing; name epochs from"
                f" 1 to {self.epochs - 1}, or write kind: constant"
            )
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: true needs a momentum above 0; set momentum, or leave nesterov out")
        if self.attack.ramp_epochs > self.epochs:
            raise ValueError(
                f"attack.ramp_epochs: in {self.epochs} epochs a ramp of {self.attack.ramp_epochs} never reaches"
                " epsilon; lower it"
            )
        check_rounds(self.precision, self.tf32)
        if self.compile and self.precision == "exact":
            raise ValueError("compile: true rounds, and precision: exact does not; write precision: float32")
        return self
