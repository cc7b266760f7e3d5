"""One attack at several radii: the outcomes of each, and nothing that is broken stands again above."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from stages.attack.attacks import autoattack_engine
from stages.core.config.attacks import Attack
from stages.core.config.plugins import PluginError
from stages.core.outcomes import read_outcomes
from tests.unit.attack.attack_command import run
from tests.unit.attack.test_ensemble import short

RADII = ["0.5/255", "1/255", "3/255", "9/255"]
NAMES = ["curve.0.5", "curve.1", "curve.3", "curve.9"]


def rows(folder: Path) -> dict[str, dict[int, dict[str, Any]]]:
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in read_outcomes(folder / "outcomes.parquet").to_pylist():
        found.setdefault(row["attack"], {})[row["index"]] = row
    return found


def test_every_radius_has_a_row_an_image_and_what_is_broken_stays_broken(folder: Path) -> None:
    options = {"steps": 4, "step_size": "9/255"}
    run(folder, {"curve": {"kind": "margin_pgd", "epsilons": RADII, "options": options, "batch_size": 3}})
    curve = rows(folder)
    assert list(curve) == NAMES
    facts = json.loads((folder / "manifest.json").read_text())["facts"]["attacks"]
    for lower, upper in itertools.pairwise(NAMES):
        assert list(curve[lower]) == list(curve[upper]) == list(range(7))
        for index, row in curve[lower].items():
            if not row["robust"]:
                assert curve[upper][index] == {**row, "attack": upper}
        assert facts[upper]["n"] == 7
        assert facts[upper]["n_attacked"] == sum(row["robust"] for row in curve[lower].values())
    accuracies = [facts[name]["robust_accuracy"] for name in NAMES]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > accuracies[-1]


def test_the_smallest_radius_is_the_attack_alone(folder: Path) -> None:
    options = {"steps": 4, "step_size": "9/255"}
    run(folder, {"curve": {"kind": "margin_pgd", "epsilons": RADII, "options": options}})
    lowest = rows(folder)["curve.0.5"]
    (folder / "manifest.json").unlink()
    shrunk = {"kind": "margin_pgd", "epsilon": "0.5/255", "options": {"steps": 4, "step_size": "0.5/255"}}
    run(folder, {"curve.0.5": shrunk})
    alone = rows(folder)["curve.0.5"]
    assert {index: row["robust"] for index, row in alone.items()} == {
        index: row["robust"] for index, row in lowest.items()
    }
    assert [row["linf"] for row in alone.values()] == pytest.approx([row["linf"] for row in lowest.values()], abs=1e-6)


def test_the_engine_climbs_too_and_keeps_what_broke_a_point_below(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoattack_engine, "ensemble", short)
    run(folder, {"curve": {"kind": "autoattack-engine", "epsilons": ["3/255", "9/255", "90/255", "99/255"]}})
    curve = rows(folder)
    assert all(row["broken_by"] for row in curve["curve.99"].values())
    broken = {index for index, row in curve["curve.9"].items() if not row["robust"]}
    assert all(curve["curve.99"][index]["linf"] <= 9.001 / 255 for index in broken)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilons": ["2/255", "1/255"]}, "must ascend"),
        ({"epsilons": ["1/255", "1/255"]}, "must ascend"),
        ({"epsilons": ["1/255", "2/255"], "epsilon": "1/255"}, "stands beside epsilons, whose largest is"),
        ({"epsilons": [0.5, 0.50001], "norm": "l2"}, "told apart by four digits"),
        ({"kind": "cw", "epsilons": ["1/255", "2/255"]}, "held to no ball"),
    ],
)
def test_radii_that_make_no_curve_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((PluginError, ValueError), match=message):
        Attack.model_validate({"kind": "pgd", **settings})


def test_a_radius_is_named_in_its_norms_unit() -> None:
    assert list(Attack.model_validate({"kind": "pgd", "norm": "l2", "epsilons": [0.5, 2]}).rungs()) == [".0.5", ".2"]


def test_an_attack_at_one_radius_keeps_its_identity() -> None:
    assert "epsilons" not in Attack(kind="pgd").identity()
    curve = Attack.model_validate({"kind": "pgd", "epsilons": RADII})
    assert curve.epsilon == 9 / 255
    assert Attack.revived(curve.model_dump(mode="json")) == curve
    assert curve.rungs()[".1"].options["step_size"] == pytest.approx(2 / 255 / 9)
