"""A certificate tells networks whose gradients mislead from honest ones, and for the right reason."""

from collections.abc import Iterator
from functools import cache

import pytest
import torch
from torch import nn

from stages.attack.certificate.battery import Battery
from stages.attack.certificate.certify import checks, gather
from stages.attack.certificate.verdict import Check, worst
from tests.unit.attack.certified import EPSILON, HONEST, HONEST_LATER, MASKED, MASKED_LATER, After, digits, vanilla

IMAGES = 100
WARNED = {"logits x 0.0001"}  # whose other accuracies are as they should be
MORE_IMAGES = {"logits x 0.0001": 200}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks so small are not faster with more, and workers side by side are slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def certified(name: str) -> dict[str, Check]:
    """The checks of a network, by name."""
    model = (HONEST | HONEST_LATER | {key: make for key, (make, _) in (MASKED | MASKED_LATER).items()})[name]()
    others = {} if name == "vanilla" else {"vanilla": vanilla()}
    return certificate(model, others, MORE_IMAGES.get(name, IMAGES))


def certificate(model: nn.Module, others: dict[str, nn.Module], images: int) -> dict[str, Check]:
    """The checks of a model, by name."""
    battery = Battery(model, digits()[1], images, EPSILON, 0, torch.device("cpu"))
    return {check.name: check for check in checks(gather(battery, others))}


@pytest.mark.slow
@pytest.mark.parametrize("name", HONEST | HONEST_LATER)
def test_honest_networks_pass(name: str) -> None:
    found = certified(name)
    assert {check.name: check.found for check in found.values() if check.verdict != "pass"} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", MASKED | MASKED_LATER)
def test_masked_networks_do_not_and_for_the_right_reason(name: str) -> None:
    found = certified(name)
    assert worst([check.verdict for check in found.values()]) == ("warn" if name in WARNED else "fail")
    reason = next(check for check in found.values() if check.name.startswith((MASKED | MASKED_LATER)[name][1]))
    assert reason.verdict != "pass"
    assert reason.advice


@pytest.mark.slow
def test_scaled_logits_show_the_papers_pattern_and_the_cause_is_named() -> None:
    """FGSM and PGD on the cross-entropy far above AutoAttack, as in the LSP paper's Table 1: 61.2, 28.0 and 15.1."""
    model = After(vanilla(), lambda logits: 40 * logits)
    battery = Battery(model, digits()[1], IMAGES, EPSILON, 0, torch.device("cpu"))
    evidence = gather(battery, {})
    assert evidence.left("fgsm") > evidence.left("aa") + 20
    assert evidence.left("pgd") > evidence.left("aa") + 10
    warned = {check.name: check for check in checks(evidence) if check.verdict != "pass"}
    assert "saturate the softmax" in warned["saturation of the cross-entropy"].advice
