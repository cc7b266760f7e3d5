"""SIGTERM after every step of a short run, of every method and of pre-training: it ends as if it had never stopped."""

import contextlib
import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stages.core.config.method import TrainSettings
from stages.core.config.plugins import is_adversarial, known
from stages.features import pretrain
from stages.train import loop
from tests.faults.suite import NotHeldError, Row, Size, Trial
from tests.faults.world import World
from tests.unit.features import small_pretraining
from tests.unit.interrupting import interrupted_at, place
from tests.unit.train import small_training
from workflow.planning.presets import PRESETS

SCHEDULES = ("multistep", "cosine", "onecycle", "constant")


def trials(world: World, size: Size) -> Iterator[Trial]:
    """One for each run; each of its steps is interrupted."""
    for name, chosen in {**small_training.RUNS, **methods()}.items():

        def train(file: Path, chosen: TrainSettings = chosen) -> Any:
            run = small_training.run(chosen, small_training.given(chosen), file)
            return small_training.everything(run)

        steps = small_training.EPOCHS * small_training.STEPS
        yield Trial(name, "after every step", partial(_steps, train, loop, "method_loss", steps), steps)
    for name, moco in small_pretraining.VARIANTS.items():

        def learn(file: Path, moco: Any = moco) -> Any:
            return small_pretraining.everything(small_pretraining.run(moco, file))

        steps = small_pretraining.EPOCHS * small_pretraining.STEPS
        yield Trial(f"MoCo, {name}", "after every step", partial(_steps, learn, pretrain, "train_step", steps), steps)


def methods() -> dict[str, TrainSettings]:
    """A run of every preset, and of every objective and augmentation that is in none of them, schedules by turns."""
    raw = {
        name: {**preset, **({"lsp": {"m": small_training.M}} if "lsp" in preset else {})}
        for name, preset in PRESETS.items()
    }
    for part, kind in (("objective", "objectives"), ("augmentation", "augmentations")):
        used = {preset.get(part, {}).get("name", "") for preset in PRESETS.values()}
        new = {name.replace("_", "-") for name in known(kind)} - used
        raw |= {name: {part: {"name": name}, **_recipe(kind, name)} for name in sorted(new)}
    return {
        name: small_training.settings(method, schedule=_schedule(number))
        for number, (name, method) in enumerate(raw.items())
    }


def _recipe(kind: str, name: str) -> dict[str, str]:
    return {"recipe": "adversarial"} if kind == "objectives" and is_adversarial(name) else {}


def _schedule(number: int) -> dict[str, Any]:
    kind = SCHEDULES[number % len(SCHEDULES)]
    return {"kind": kind, **({"milestones": [2, 3]} if kind == "multistep" else {})}


def _steps(make: Callable[[Path], Any], owner: Any, step: str, steps: int) -> None:
    """Every attempt is brought one step further by one that a signal ends in its first step."""
    with TemporaryDirectory() as name, contextlib.redirect_stderr(io.StringIO()):
        file = Path(name) / "state.pt"
        whole, each = make(Path(name) / "whole.pt"), set()
        for _ in range(steps):
            with interrupted_at(owner, step, 1):
                make(file)
            each.add(place(file))
        if len(each) != steps:
            raise NotHeldError(f"{steps} interruptions left {len(each)} different states")
        if make(file) != whole:
            raise NotHeldError("it ends otherwise than uninterrupted")


ROW = Row("resumed", "SIGTERM after every step of a run, every method", trials)
