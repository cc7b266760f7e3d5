"""The ensemble: who leaves it and when; verdicts that hang on nothing but the point, through any interruption."""

import contextlib
import itertools
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from stages.attack.attacks import autoattack_engine
from stages.attack.attacks.autoattack_engine import ensemble
from stages.attack.engine import ensemble as engine
from stages.attack.engine.apgd import APGD, checkpoints, cross_entropy, targeted_dlr
from stages.attack.engine.draws import Draws
from stages.attack.engine.ensemble import attack_all, next_look
from stages.attack.engine.fab import FAB
from stages.attack.engine.points import Algorithm
from stages.attack.engine.progress import Progress
from stages.attack.engine.square import Square
from stages.core.models.folding import folded
from stages.core.outcomes import OUTCOME_DETAILS, read_outcomes
from tests.unit.attack.attack_command import run
from tests.unit.attack.test_engine import points_of
from tests.unit.attack.test_engine import run as alone_by

SMALL = 30
COUNTED = ("robust", *OUTCOME_DETAILS.names)
FORWARDS, BACKWARDS = 1 + 8 + 2 * (1 + 4) + 2 * 12 + 1 + SMALL, 1 + 8 + 2 * (1 + 4) + 2 * 6


def short(seed: int, classes: int) -> list[Algorithm]:
    """The ensemble with few iterations and two targets."""
    return [
        APGD("apgd-ce", cross_entropy, Draws(seed, "apgd-ce"), iterations=8),
        APGD("apgd-t", targeted_dlr, Draws(seed, "apgd-t"), 2, iterations=4),
        FAB("fab-t", 2, iterations=6),
        Square(Draws(seed, "square"), iterations=SMALL),
    ]


@pytest.fixture
def shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoattack_engine, "ensemble", short)


def blind(model: Any, images: Any, dtype: torch.dtype) -> Any:
    """Under bfloat16 a network that finds nothing."""
    network = folded(model, images, dtype)
    return network if dtype == torch.float32 else network.requires_grad_(False).apply(_zero)


def _zero(module: Any) -> None:
    for parameter in module.parameters(recurse=False):
        parameter.zero_()


def settings(**changes: Any) -> dict[str, Any]:
    return {"aa": {"kind": "autoattack-engine", "epsilon": "1/255", **changes}}


def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_outcomes(folder / "outcomes.parquet").to_pylist()
    return found


def test_nothing_leaves_but_what_the_judge_calls_broken() -> None:
    points = points_of(size=6, epsilon=0.05)
    asked: list[int] = []

    def lenient(places: Tensor, x_adv: Tensor, by: str, iteration: int) -> Tensor:
        asked.extend(places.tolist())
        return places == 2

    places = torch.arange(6)
    progress = Progress.at_start(places, torch.zeros(6, dtype=torch.int64))
    attack_all(points, short(0, 10), progress, lenient, batch_size=4)
    assert progress.left.tolist() == [0, 1, 3, 4, 5]
    assert asked.count(2) == 1
    assert all(asked.count(place) >= 4 for place in progress.left.tolist())
    assert progress.forwards[0] == FORWARDS
    assert progress.backwards[0] == BACKWARDS
    assert progress.forwards[2] <= 1 + 8


def test_searches_side_by_side_break_what_each_breaks_alone() -> None:
    points, attack = points_of(), APGD("apgd-t", targeted_dlr, Draws(0, "apgd-t"), 3, iterations=20)
    broken: dict[int, str] = {}

    def judge(places: Tensor, x_adv: Tensor, by: str, iteration: int) -> Tensor:
        with torch.no_grad():
            wrong = points.network(x_adv).argmax(dim=1) != points.labels[places]
        broken.update(dict.fromkeys(places[wrong].tolist(), by))
        return wrong

    progress = Progress.at_start(torch.arange(6), torch.zeros(6, dtype=torch.int64))
    attack_all(points, [attack], progress, judge, batch_size=4)
    alone = torch.stack([alone_by(attack, points_of(rank=rank))["fooled"] for rank in range(3)])
    assert set(broken) == set(alone.any(dim=0).nonzero().flatten().tolist())
    assert 0 < len(broken) < 6
    assert all(alone[int(by.removeprefix("apgd-t/")) - 1, place] for place, by in broken.items())


def test_looks_are_frequent_at_first_and_never_far_apart() -> None:
    looks = [0]
    while looks[-1] < 100:
        looks.append(next_look(looks[-1], 100))
    assert looks[:8] == list(range(8))
    assert looks[-1] == 100
    assert max(b - a for a, b in itertools.pairwise(looks)) <= 10


def test_the_step_size_is_looked_at_when_the_official_code_does() -> None:
    counter, k, wanted = 0, 22, {}
    for iteration in range(100):
        counter += 1
        if counter == k:
            wanted[iteration] = k
            counter, k = 0, max(k - 3, 6)
    assert checkpoints(100) == wanted


@pytest.mark.parametrize(("classes", "targets"), [(2, 1), (3, 2), (4, 3), (10, 9), (200, 9)])
def test_targets_are_nine_or_the_other_classes(classes: int, targets: int) -> None:
    found = {attack.name: attack.runs for attack in ensemble(0, classes)}
    second = "apgd-margin-t" if classes < 4 else "apgd-t"
    assert found == {"apgd-ce": 1, second: targets, "fab-t": targets, "square": 1}
    assert list(found) == ["apgd-ce", second, "fab-t", "square"]


def test_budgets_are_the_official_ones() -> None:
    found = ensemble(0, 10)
    assert [attack.iterations for attack in found] == [100, 100, 100, 5000]
    assert [attack.passes for attack in found] == [(1, 1), (1, 1), (2, 1), (1, 0)]
    assert [attack.start_passes for attack in found] == [(1, 1), (1, 1), (0, 0), (1, 0)]
    official = AutoAttack(nn.Flatten(), norm="Linf", eps=0.1, version="standard", device="cpu")
    iterations = [official.apgd.n_iter, official.apgd_targeted.n_iter, official.fab.n_iter, official.square.n_queries]
    assert iterations == [100, 100, 100, 5000]
    assert official.apgd_targeted.n_target_classes == official.fab.n_target_classes == found[1].runs == found[2].runs
    assert official.apgd.n_restarts == official.apgd_targeted.n_restarts == official.fab.n_restarts == 1


@pytest.mark.usefixtures("shortened")
def test_verdicts_are_the_same_for_any_batch_size_and_among_any_others(folder: Path) -> None:
    seen = []
    for changes in ({"batch_size": 1}, {"batch_size": 3}, {"batch_size": 256}, {"images": 4, "subset": "first"}):
        run(folder, settings(**changes))
        seen.append(rows(folder))
        for path in folder.glob("*.json"):
            path.unlink()
    for other in seen[1:]:
        for one, two in zip(seen[0], other, strict=False):
            assert [one[name] for name in COUNTED] == [two[name] for name in COUNTED]
    robust = [row["robust"] for row in seen[0]]
    assert 0 < sum(robust) < len(robust)
    assert [row["broken_by"] is None for row in seen[0]] == robust
    for row in seen[0]:
        if row["robust"]:
            assert (row["iteration"], row["forwards"], row["backwards"]) == (None, FORWARDS, BACKWARDS)
        elif row["broken_by"] == "apgd-ce":
            assert row["forwards"] == row["backwards"] == 1 + row["iteration"]


@pytest.mark.usefixtures("shortened")
def test_interrupted_at_any_look_and_resumed_equals_uninterrupted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "WAVE", 3)
    run(folder, settings(batch_size=2))
    whole = (folder / "outcomes.parquet").read_bytes()
    (folder / "manifest.json").unlink()
    iterate, looks, attempts = engine._iterate, 0, 0

    def ended_after_it(*words: Any) -> None:
        nonlocal looks
        looks += 1
        iterate(*words)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(engine, "_iterate", ended_after_it)
    while not (folder / "manifest.json").exists():
        attempts += 1
        assert attempts <= 200, "an attempt begins again"
        with contextlib.suppress(SystemExit):
            run(folder, settings(batch_size=2))
        assert ("interrupted by SIGTERM" in capsys.readouterr().err) == (looks == attempts)
    assert (folder / "outcomes.parquet").read_bytes() == whole
    assert looks > 20


@pytest.mark.usefixtures("shortened")
def test_bfloat16_attacks_a_sample_again_and_all_where_one_breaks(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, settings())
    exact = rows(folder)
    (folder / "manifest.json").unlink()
    capsys.readouterr()
    monkeypatch.setattr(autoattack_engine, "folded", blind)
    run(folder, settings(epsilon="1/255", options={"precision": "bfloat16", "rechecked": 0.5}))
    said = capsys.readouterr().err
    assert "recheck: " in said
    assert "widened: " in said
    assert [row["robust"] for row in rows(folder)] == [row["robust"] for row in exact]
    assert max(row["forwards"] for row in rows(folder)) == 2 * FORWARDS
    assert read_outcomes(folder / "outcomes.parquet").schema.names[-4:] == OUTCOME_DETAILS.names
