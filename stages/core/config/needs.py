"""What settings ask of a data set's sizes: rules of one kind, whether the sizes are declared, or known of its files.

The plan asks them where a source declares its sizes or the images are prepared; else the data stage does, as soon as it
has counted the images, so that nothing is trained for a plan that must fail.
"""

from collections.abc import Iterator

from pydantic import Field

from stages.core.config.attacks import Attack
from stages.core.config.data import Augment
from stages.core.config.known import SPLIT_SHARE, Known
from stages.core.config.messages import located
from stages.core.config.method import Method, Monitor
from stages.core.config.plugins import constant
from stages.core.config.recipe import Recipe
from stages.core.config.section import Section

LISTS = 50
"""With so many images for each neighbor of a list, some list is as poor as the average one."""


class Run(Section):
    """What a training run draws: batches, images to hold out, companions.

    depth: neighbors searched, of which the nearest `nearest` that are not held out are companions; None: none are.
    """

    method: str
    batch_size: int
    epochs: int
    pct_start: float | None = None
    held_out: int = 0
    m: int = 0
    nearest: int = 0
    depth: int = 0

    @classmethod
    def of(cls, name: str, method: Method, recipe: Recipe, monitor: Monitor, depth: int) -> "Run":
        """What a method by its key asks for under a recipe; depth: neighbors that are searched."""
        chosen = [choice for choice in (method.lsp, monitor.structure) if choice is not None]
        return cls(
            method=name,
            batch_size=recipe.batch_size,
            epochs=recipe.epochs,
            pct_start=recipe.schedule.pct_start if recipe.schedule.kind == "onecycle" else None,
            held_out=method.held_out(recipe),
            m=0 if method.lsp is None else method.lsp.m,
            nearest=max((choice.m for choice in chosen if choice.kind == "local"), default=0),
            depth=depth,
        )

    def unmet(self, have: Known) -> Iterator[str]:
        """What it cannot draw, a line each."""
        images = have.train
        if images is None:
            return
        where = f"of the recipe of methods.{self.method}"
        held_out = min(self.held_out, images // SPLIT_SHARE)
        anchors = images - held_out
        if self.held_out and not held_out:
            yield (
                f"selection {where}: best_robust has none of {images} training images to hold out; ten are needed, or"
                " write last"
            )
        if self.batch_size > anchors:
            yield f"batch_size {where}: {self.batch_size} is more than the {anchors} images; lower it"
        if self.m >= anchors:
            yield (
                f"lsp.m of methods.{self.method}: {self.m} companions need more images than the {anchors} there are;"
                " lower m"
            )
        elif self._lacks(images, held_out):
            yield (
                f"m of methods.{self.method} or of monitor.structure: {self.nearest} of {self.depth} neighbors are"
                f" needed, and with {held_out} of {images} images held out most anchors have fewer; raise"
                " neighbors.depth or lower m"
            )
        full, rest = divmod(anchors, self.batch_size)
        steps = self.epochs * (full + (rest > 1))
        if self.pct_start is not None and self.pct_start * steps == 1:
            yield (
                f"schedule.pct_start {where}: {self.pct_start} of {steps} steps leaves lr none to rise in; change"
                " pct_start or epochs"
            )

    def _lacks(self, images: int, held_out: int) -> bool:
        """Whether some anchor surely has fewer than `nearest` neighbors left: held-out images are drawn at random.

        How many are left is binomial, its median above the mean by less than 1: here half of all anchors lack some.
        """
        left = self.depth * (1 - held_out / images)
        return left < self.nearest - 1 and images >= LISTS * self.depth


class Attacked(Section):
    """What an attack needs: classes to aim at, and a ball that does not hold every image. radius: of an L2 ball."""

    kind: str
    classes: int = 1
    radius: float | None = None

    @classmethod
    def of(cls, attack: Attack) -> "Attacked":
        """What its kind and its ball ask for."""
        least = constant("attacks", attack.kind, "LEAST_CLASSES") or 1
        return cls(kind=attack.kind, classes=least, radius=attack.epsilon if attack.norm == "l2" else None)

    def unmet(self, have: Known) -> Iterator[str]:
        """What is lacking, a line each."""
        if have.classes is not None and have.classes < self.classes:
            yield (
                f"kind: {self.kind} needs {self.classes} classes or more and the data set has {have.classes}; take pgd"
                " and margin_pgd with restarts"
            )
        if self.radius is not None and have.side is not None and self.radius >= 3**0.5 * have.side:
            yield (
                f"epsilon: an L2 ball of {self.radius:g} holds every image of {have.side} x {have.side} pixels; did you"
                f" mean {self.radius:g}/255?"
            )


class Needs(Section):
    """What is asked of one data set; what is not asked for is None or empty."""

    dataset: str = Field("", description="its key")
    paddings: dict[str, int] = Field(default_factory=dict, description="of crops, by the key of their section")
    moco_batch: int | None = Field(None, description="images a step of pre-training")
    depth: int | None = Field(None, description="neighbors of an image")
    runs: tuple[Run, ...] = ()
    attacks: tuple[Attacked, ...] = ()

    def unmet(self, have: Known) -> list[str]:
        """What a data set of such sizes does not have, a line each with the keys' path."""
        lines = [*self._unmet(have), *(line for run in self.runs for line in run.unmet(have))]
        found = [located(f"datasets.{self.dataset}", line) for line in lines]
        for attack in self.attacks:
            found += [located(f"datasets.{self.dataset} under {attack.kind}", line) for line in attack.unmet(have)]
        return found

    def _unmet(self, have: Known) -> Iterator[str]:
        for where, padding in self.paddings.items():
            yield from crops_unmet(where, padding, have)
        if have.train is None:
            return
        images = have.train + (have.unlabelled or 0)
        if self.moco_batch is not None and self.moco_batch > images:
            yield (
                f"features.moco.batch_size: {self.moco_batch} is more than the {images} images to train on; lower it"
            )
        if self.depth is not None and self.depth >= have.train:
            yield (
                f"neighbors.depth: {self.depth} neighbors need {self.depth + 1} images or more, and there are"
                f" {have.train}; lower it"
            )


def crops_unmet(where: str, padding: int, have: Known) -> Iterator[str]:
    """A line where a crop can lie outside the image."""
    if have.side is not None and padding >= have.side:
        yield f"{where}.padding: a crop {padding} pixels off misses an image of {have.side}; write less than that"


def paddings(augment: Augment, others: dict[str, Augment]) -> dict[str, int]:
    """The paddings of a data set's crops by the key of their section; others: those of recipes, by name."""
    return {"augment": augment.padding, **{f"recipe_augments.{name}": one.padding for name, one in others.items()}}
