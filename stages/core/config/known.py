"""Whether settings fit the data set they are used on, as far as it is known before a file of it is read."""

from collections.abc import Mapping
from dataclasses import dataclass

from stages.core.config.attacks import Attack
from stages.core.config.data import Augment, Data
from stages.core.config.method import Method
from stages.core.config.moco import Features
from stages.core.config.plugins import constant, file_name
from stages.core.config.recipe import Recipe
from stages.core.config.signatures import PluginError
from stages.core.config.structure import NeighborSearch

SPLIT_SHARE = 10
"""At most one in ten training images is held out (stages.core.images.split)."""


@dataclass(frozen=True)
class Known:
    """A data set's training, test and unlabelled images, the side in pixels, and the classes; None: not known."""

    train: int | None = None
    test: int | None = None
    unlabelled: int | None = None
    side: int | None = None
    classes: int | None = None


def known_of_source(source: str) -> Known:
    """What a source's file says of it: KNOWN = {"train": …, "test": …, "side": …, "classes": …}, or parts of that."""
    said = constant("sources", source, "KNOWN") or {}
    if not isinstance(said, dict) or not said.keys() <= Known.__dataclass_fields__.keys():
        raise PluginError(
            f"{file_name('sources', source)}: KNOWN tells {', '.join(Known.__dataclass_fields__)}; write"
            ' e.g. `KNOWN = {"side": 32}`'
        )
    return Known(**said)


def known(data: Data) -> Known:
    """What is known of a data set: of its source, and of the images that its settings keep."""
    source = known_of_source(data.source)
    return Known(
        train=data.train_images or source.train,
        test=data.test_images or source.test,
        unlabelled=source.unlabelled if data.unlabelled else 0,
        side=data.image_size or source.side,
        classes=source.classes,
    )


def check_data(data: Data, augment: Augment, features: Features, search: NeighborSearch) -> None:
    """ValueError, the key in front, where more is asked for than the data set has, or a crop can miss the image."""
    have, source = known(data), known_of_source(data.source)
    for key, asked, most in (
        ("train_images", data.train_images, source.train),
        ("test_images", data.test_images, source.test),
    ):
        if asked is not None and most is not None and asked > most:
            raise ValueError(f"data.{key}: {asked} is more than the {most} there are; ask for fewer or leave it out")
    check_augment(augment, have, "augment")
    if have.train is None:
        return
    images = have.train + (have.unlabelled or 0)
    if features.source == "moco" and features.moco.batch_size > images:
        raise ValueError(
            f"features.moco.batch_size: {features.moco.batch_size} is more than the {images} images to train on;"
            " lower it"
        )
    if search.depth >= have.train:
        raise ValueError(
            f"neighbors.depth: {search.depth} neighbors need {search.depth + 1} images or more, and there are"
            f" {have.train}; lower it"
        )


def check_augment(augment: Augment, have: Known, where: str) -> None:
    """ValueError where a crop can lie outside the image."""
    if have.side is not None and augment.padding >= have.side:
        raise ValueError(
            f"{where}.padding: a crop {augment.padding} pixels off misses an image of {have.side}; write less than that"
        )


def check_training(data: Data, name: str, method: Method, recipe: Recipe) -> None:
    """ValueError where a run cannot be compiled, or draw its batches, companions or held-out images.

    name: the method's key.
    """
    method.check_recipe(recipe)
    images = known(data).train
    if images is None:
        return
    where = f"of the recipe of methods.{name}"
    held_out = min(method.held_out(recipe), images // SPLIT_SHARE)
    anchors = images - held_out
    if method.held_out(recipe) and not held_out:
        raise ValueError(
            f"selection {where}: best_robust has none of {images} training images to hold out; ten are needed, or"
            " write last"
        )
    if recipe.batch_size > anchors:
        raise ValueError(f"batch_size {where}: {recipe.batch_size} is more than the {anchors} images; lower it")
    if method.lsp is not None and method.lsp.m >= anchors:
        raise ValueError(
            f"lsp.m of methods.{name}: {method.lsp.m} companions need more images than the {anchors} there are; lower m"
        )
    full, rest = divmod(anchors, recipe.batch_size)
    steps = recipe.epochs * (full + (rest > 1))
    if recipe.schedule.kind == "onecycle" and recipe.schedule.pct_start * steps == 1:
        raise ValueError(
            f"schedule.pct_start {where}: {recipe.schedule.pct_start} of {steps} steps leaves lr none to rise in;"
            " change pct_start or epochs"
        )


def check_attack(attack: Attack, have: Known) -> None:
    """ValueError where an attack needs more classes than the data set has, or its L2 ball holds every image."""
    least = constant("attacks", attack.kind, "LEAST_CLASSES") or 1
    if have.classes is not None and have.classes < least:
        raise ValueError(
            f"kind: {attack.kind} needs {least} classes or more and the data set has {have.classes}; take pgd and"
            " margin_pgd with restarts"
        )
    if attack.norm == "l2" and have.side is not None and attack.epsilon >= 3**0.5 * have.side:
        raise ValueError(
            f"epsilon: an L2 ball of {attack.epsilon:g} holds every image of {have.side} x {have.side} pixels; did you"
            f" mean {attack.epsilon:g}/255?"
        )


def wide_steps(recipes: Mapping[str, Recipe], attacks: Mapping[str, Attack]) -> list[str]:
    """A line for every inner or evaluation attack whose step leads across its whole ball."""
    inner = {f"recipes.{name}.attack": recipe.attack for name, recipe in recipes.items()}
    steps = {key: (attack.step_size, attack.epsilon) for key, attack in inner.items()}
    for name, attack in attacks.items():
        if "step_size" in attack.options:
            steps[f"attacks.{name}.options"] = (float(attack.options["step_size"]), attack.epsilon)
    return [
        f"{key}.step_size: {step:.4g} is more than twice epsilon, {epsilon:.4g}; every step crosses the whole ball"
        for key, (step, epsilon) in steps.items()
        if step > 2 * epsilon > 0
    ]
