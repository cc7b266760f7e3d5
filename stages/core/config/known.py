"""What is known of a data set: before a file of it is read, and once its images are prepared."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from stages.core.config.attacks import Attack
from stages.core.config.data import Data
from stages.core.config.plugins import constant, file_name
from stages.core.config.recipe import Recipe
from stages.core.config.signatures import PluginError

SPLIT_SHARE = 10
"""At most one in ten training images is held out (stages.core.images.split)."""


@dataclass(frozen=True)
class Known:
    """A data set's training, test and unlabelled images, the shorter side in pixels, the classes; None: not known."""

    train: int | None = None
    test: int | None = None
    unlabelled: int | None = None
    side: int | None = None
    classes: int | None = None

    def over(self, other: "Known") -> "Known":
        """What is known here, and of the rest what the other knows."""
        return replace(other, **{key: value for key, value in asdict(self).items() if value is not None})


def measured(facts: Mapping[str, Any]) -> Known:
    """What the facts in the manifest of prepared images tell; KeyError, TypeError or IndexError for other facts."""
    train, test, unlabelled = facts["train"], facts["test"], facts.get("unlabelled", {"images": 0})
    return Known(
        train=int(train["images"]),
        test=int(test["images"]),
        unlabelled=int(unlabelled["images"]),
        side=min(int(side) for side in train["shape"][1:]),
        classes=len(train["class_counts"]),
    )


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


def check_kept(data: Data) -> None:
    """ValueError, the key in front, where more images are kept than the source has."""
    source = known_of_source(data.source)
    for key, asked, most in (
        ("train_images", data.train_images, source.train),
        ("test_images", data.test_images, source.test),
    ):
        if asked is not None and most is not None and asked > most:
            raise ValueError(f"data.{key}: {asked} is more than the {most} there are; ask for fewer or leave it out")


def odd_steps(recipes: Mapping[str, Recipe], attacks: Mapping[str, Attack]) -> list[str]:
    """A line for every inner or evaluation attack whose step crosses its ball, or whose steps together do not."""
    searches = {
        f"recipes.{name}.attack": (recipe.attack.steps, recipe.attack.step_size, recipe.attack.epsilon)
        for name, recipe in recipes.items()
    }
    for name, attack in attacks.items():
        if "step_size" in attack.options:
            steps, step = int(attack.options["steps"]), float(attack.options["step_size"])
            searches[f"attacks.{name}.options"] = (steps, step, attack.epsilon)
    lines = []
    for key, (steps, step, epsilon) in searches.items():
        if step > 2 * epsilon > 0:
            lines.append(
                f"{key}.step_size: {step:.4g} is more than twice epsilon, {epsilon:.4g}; every step crosses the whole"
                " ball"
            )
        if steps * step < epsilon * (1 - 1e-6):
            lines.append(
                f"{key}: {steps} steps of {step:.4g} lead no further than {steps * step:.4g}, and epsilon is"
                f" {epsilon:.4g}; raise step_size or steps, or the accuracy is that of a smaller ball"
            )
    return lines
