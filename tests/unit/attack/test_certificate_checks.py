"""Every check of a certificate, on evidence made by hand: what passes, what warns, what fails."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from stages.attack.certificate.active import Found
from stages.attack.certificate.battery import SCALES, WHOLE_BOX, radii
from stages.attack.certificate.certify import checks
from stages.attack.certificate.evidence import Evidence
from stages.attack.certificate.probes import Outputs, Path
from stages.attack.certificate.verdict import Check

IMAGES, RIGHT, EPSILON = 200, 160, 8 / 255
NAMES = [f"margin at {radius:.4g}" for radius in radii(EPSILON)]


def first(count: int, of: int = IMAGES) -> Tensor:
    """(of,) bool, true for the first so many."""
    return torch.arange(of) < count


def evidence() -> Evidence:
    """Of an honest network: stronger attacks leave fewer, and nothing else is odd."""
    robust = {"clean": RIGHT, "zero": RIGHT, "noise": 158, "fgsm": 90, "pgd": 82, "margin": 80, "more": 80, "aa": 78}
    robust |= {"pgd rescaled": 80, **{f"margin {name}": 80 for name in SCALES}}
    robust |= dict(zip(NAMES, (120, 30, 5, 0), strict=True))
    none = first(0, RIGHT)
    return Evidence(
        epsilon=EPSILON,
        classes=10,
        outputs=Outputs(torch.zeros(IMAGES, 10), 0.0, 1e-7, (), probabilities=False),
        differentiable=True,
        zero={"cross-entropy": 0, "margin": 0, "DLR": 0},
        unstable=0.05,
        path=Path(first(80, RIGHT), first(80, RIGHT), none, none, none, exact=True),
        active=Found(64, 64, {"PGD": 64, "margin-PGD": 64, "chance": 1}, 64, 0),
        robust={name: first(count) for name, count in robust.items()},
        to_others={"at": first(120)},
        broken_by=["apgd-ce"] * (RIGHT - 78) + [""] * (IMAGES - RIGHT + 78),
        largest=(EPSILON, 1000),
    )


def changed(**changes: Any) -> Evidence:
    return replace(evidence(), **changes)


def robust(**counts: int) -> Evidence:
    """With other counts of robust images, the first ones."""
    named = {name.replace("_", " "): first(count) for name, count in counts.items()}
    return changed(robust={**evidence().robust, **named})


def outputs(**changes: Any) -> Evidence:
    return changed(outputs=replace(evidence().outputs, **changes))


def path(**counts: int) -> Evidence:
    """With the last so many of the path's images."""
    found: dict[str, Any] = {name: ~first(RIGHT - count, RIGHT) for name, count in counts.items()}
    return changed(path=replace(evidence().path, **found))


def active(fitted: int, found: int, still: int = 0) -> Evidence:
    return changed(
        active=Found(64, fitted, {"PGD": found, "margin-PGD": found, "chance": 0} if fitted else {}, 9, still)
    )


def broken(places: slice, attack: str) -> Evidence:
    """With the images of a slice broken by this attack too."""
    left = evidence().robust[attack].clone()
    left[places] = False
    return changed(robust={**evidence().robust, attack: left})


def square(count: int) -> Evidence:
    return changed(broken_by=["square"] * count + [""] * (IMAGES - count))


CASES: list[tuple[str, Evidence, str]] = [
    ("number of images", robust(clean=29, zero=29), "warn"),
    ("evaluation mode", outputs(training=("head",)), "fail"),
    ("determinism", outputs(again=2e-4), "fail"),
    ("independence of the batch", outputs(beside=2e-3), "fail"),
    ("logits", outputs(probabilities=True), "fail"),
    ("number of classes", changed(classes=3), "warn"),
    ("gradients", changed(zero={"margin": 1}), "warn"),
    ("gradients", changed(zero={"margin": 8}), "fail"),
    ("gradients", changed(differentiable=False), "fail"),
    ("independent rescoring", path(flipped=2), "warn"),
    ("independent rescoring", path(flipped=8), "fail"),
    ("radius 0", robust(zero=RIGHT - 1), "fail"),
    ("unstable loss", changed(unstable=0.6), "warn"),
    ("unstable loss", changed(unstable=0.95), "fail"),
    ("silent success", path(passed=6), "warn"),
    ("silent success", path(passed=20), "fail"),
    ("incomplete convergence", path(moving=15), "warn"),
    ("incomplete convergence", path(moving=40), "fail"),
    ("transfer from the searched copy", path(copied=2), "warn"),
    ("transfer from the searched copy", path(copied=8), "fail"),
    ("unbounded attack", robust(**{NAMES[-1].replace(" ", "_"): 1}), "warn"),
    ("unbounded attack", robust(**{NAMES[-1].replace(" ", "_"): 8}), "fail"),
    ("active test", active(64, 60), "warn"),
    ("active test", active(64, 50), "fail"),
    ("active test", active(9, 0, still=55), "warn"),
    ("active test", active(40, 40, still=40), "warn"),
    ("active test", active(8, 0), "pass"),
    ("order of the attacks", robust(fgsm=70, aa=82), "fail"),
    ("order of the attacks", robust(noise=60), "fail"),
    ("order of the attacks", robust(aa=81), "pass"),
    ("accuracy against the radius", robust(**{NAMES[1].replace(" ", "_"): 90}), "fail"),
    ("accuracy against the radius", robust(**{NAMES[-1].replace(" ", "_"): 1}), "warn"),
    ("more steps", robust(more=74), "warn"),
    ("more steps", robust(more=50), "fail"),
    ("Square", square(1), "pass"),
    ("Square", square(2), "warn"),
    ("Square", square(3), "fail"),
    ("scale and shift", robust(margin_x100=74), "warn"),
    ("scale and shift", robust(margin_x100=50), "fail"),
    ("saturation", robust(pgd_rescaled=60), "warn"),
    ("saturation", robust(pgd_rescaled=75), "pass"),
    ("transfer from other", changed(to_others={"at": first(76)}), "warn"),
    ("transfer from other", changed(to_others={"at": first(60), "lsp": first(150)}), "fail"),
    ("transfer from other", changed(to_others={}), "pass"),
]


def by_name(found: list[Check], name: str) -> Check:
    (check,) = (check for check in found if check.name.startswith(name))
    return check


def test_an_honest_network_passes_every_check() -> None:
    found = checks(evidence())
    assert {check.name for check in found if check.verdict != "pass"} == set()
    assert len({check.name for check in found}) == len(found)
    assert all(check.found and check.rule and check.source for check in found)


@pytest.mark.parametrize(("name", "given", "verdict"), CASES)
def test_a_check_says_what_its_evidence_is_worth(name: str, given: Evidence, verdict: str) -> None:
    check = by_name(checks(given), name)
    assert check.verdict == verdict, check.found
    assert check.verdict == "pass" or check.advice


def test_every_check_but_the_audits_can_speak_against_a_checkpoint() -> None:
    audited = {"ball and box"}
    spoken = {by_name(checks(given), name).name for name, given, verdict in CASES if verdict != "pass"}
    assert spoken == {check.name for check in checks(evidence())} - audited


def test_the_widest_radius_is_the_last_of_the_curve() -> None:
    assert NAMES[-1] == f"margin at {WHOLE_BOX:.4g}"
    assert list(radii(0.4)) == sorted(radii(0.4))
