"""What an attack on all points is given: a judge, a record that a signal leaves whole, a word on where it stands."""

import contextlib
import itertools
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stages.attack import audit, evaluation
from stages.attack.attacks import autoattack_engine
from stages.attack.attacks.autoattack_engine import _sample, passes
from stages.attack.engine import ensemble as engine
from stages.attack.engine.apgd import APGD
from stages.attack.engine.ensemble import attack_all
from stages.attack.engine.progress import Progress
from stages.attack.evaluation import Evaluation, Record
from stages.core.config.attacks import Attack
from tests.unit.attack.attack_command import run
from tests.unit.attack.test_engine import points_of
from tests.unit.attack.test_ensemble import BACKWARDS, FORWARDS, blind, settings, short
from tests.unit.drawing import seeded

PLACES = [
    (APGD, "begin"),
    (APGD, "step"),
    (engine, "_begin_wave"),
    (engine, "_take_in"),
    (autoattack_engine, "log_line"),
    (evaluation, "audit"),
    (audit, "score"),
]


class Always(nn.Module):
    """It sees one class in everything."""

    def __init__(self, seen: int) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, images: Tensor) -> Tensor:
        return torch.eye(3)[[self.seen] * len(images)]


def given(model: nn.Module, images: Tensor, labels: Tensor, counted: int | None = None) -> Evaluation:
    indices = torch.arange(len(labels))
    attack = Attack(kind="autoattack-engine", epsilon=0.1)
    return Evaluation(model, "x", attack, images, labels, indices, 0, Record(), lambda: None, counted)


@pytest.mark.slow
@pytest.mark.parametrize("calls", [1, 2, 5])
@pytest.mark.parametrize(("module", "name"), PLACES)
def test_a_signal_anywhere_in_a_search_of_two_phases_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, calls: int
) -> None:
    monkeypatch.setattr(autoattack_engine, "ensemble", short)
    monkeypatch.setattr(autoattack_engine, "folded", blind)
    asked = settings(batch_size=4, options={"precision": "bfloat16", "rechecked": 0.5})
    run(folder, asked)
    whole = (folder / "outcomes.parquet").read_bytes()
    (folder / "manifest.json").unlink()
    real, count = getattr(module, name), 0

    def counted(*words: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        if count == calls:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*words, **more)

    monkeypatch.setattr(module, name, counted)
    with contextlib.suppress(SystemExit):
        run(folder, asked)
    assert count >= min(calls, 2)
    monkeypatch.setattr(module, name, real)
    run(folder, asked)
    assert (folder / "outcomes.parquet").read_bytes() == whole


def test_an_image_that_has_not_moved_breaks_nothing() -> None:
    class Fickle(nn.Module):
        """It sees another class where an image is alone."""

        def forward(self, images: Tensor) -> Tensor:
            return torch.eye(3)[[int(len(images) == 1)] * len(images)]

    images, labels = torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, dtype=torch.int64)
    judge = given(Fickle(), images, labels)
    assert judge.correct.tolist() == [True, True]
    assert judge.judge(torch.tensor([0]), images[:1], "x", 3).tolist() == [False]
    assert judge.judge(torch.tensor([1]), images[:1] + 0.05, "x", 3).tolist() == [True]
    assert judge.verdicts.robust.tolist() == [True, False]
    assert (judge.record.broken_by, judge.record.iteration.tolist()) == (["", "x"], [0, 3])


def test_of_few_survivors_one_is_attacked_again_and_of_a_share_of_nothing_none() -> None:
    images = torch.rand(3, 3, 4, 4, generator=seeded(0))
    judge = given(Always(0), images, torch.zeros(3, dtype=torch.int64))
    for judge.seed in range(50):
        for left in (torch.tensor([1]), torch.arange(3)):
            assert int(_sample(judge, left, 1e-9).sum()) == 1
            assert int(_sample(judge, left, 1.0).sum()) == len(left)
            assert not _sample(judge, left, 0.0).any()
    assert len(_sample(judge, torch.arange(0), 0.5)) == 0


def test_a_line_tells_of_all_images_that_the_column_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation, "SECONDS_BETWEEN_LINES", 0.0)
    clock = iter([100.0, 100.0, 160.0])
    monkeypatch.setattr(evaluation.time, "monotonic", lambda: next(clock))
    images, labels = torch.rand(4, 3, 4, 4, generator=seeded(0)), torch.arange(4) % 2
    judge = given(Always(0), images, labels, counted=8)
    judge.begin_search(30.0)
    judge.say("here", 90.0, 120.0)
    said = capsys.readouterr().err
    assert "attack x: here: 2 of 4 points left, robust accuracy 25.00 % [7.15, 59.07] so far" in said
    assert "at most 02:00 to go" in said


def test_passes_ahead_are_the_passes_made_in_the_end() -> None:
    points, attacks = points_of(size=3), short(0, 10)
    progress = Progress.at_start(torch.arange(3), torch.zeros(3, dtype=torch.int64))
    seen = []
    never = torch.zeros(3, dtype=torch.bool)
    attack_all(
        points, attacks, progress, lambda places, *_: never[places], 2, lambda: seen.append(passes(progress, attacks))
    )
    starts = 3 * sum(attack.runs * (attack.start_passes[0] + 2 * attack.start_passes[1]) for attack in attacks)
    made, ahead = seen[0]
    assert made + ahead == 3 * (FORWARDS + 2 * BACKWARDS) - starts + 3 * 3
    assert all(later[0] > earlier[0] and later[1] < earlier[1] for earlier, later in itertools.pairwise(seen))
    assert seen[-1] == (3 * (FORWARDS + 2 * BACKWARDS), 0)
