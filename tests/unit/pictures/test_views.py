"""What a network makes of anchors and test images, beside the stages that measure the same for the tables."""

import pytest
import torch
from torch import nn

from stages.attack.attacks.pgd import pgd
from stages.attack.audit import audit
from stages.core.config.attacks import Attack
from stages.core.images.pixels import to_unit
from stages.core.images.threat import Threat
from stages.pictures.views import attack, logit_structure
from stages.train import lsp
from tests.unit.drawing import noise, seeded
from tests.unit.pictures.conftest import net

EPSILON, STEPS = 8 / 255, 20


def test_q_is_what_training_measures() -> None:
    model, images = net(0), noise(15, 3).unflatten(0, (3, 5))
    with torch.no_grad():
        logits = model(to_unit(images.flatten(0, 1))).unflatten(0, (3, 5))
    torch.testing.assert_close(logit_structure(model, images), lsp.logit_structure(logits[:, 0], logits[:, 1:]))


def test_q_of_a_net_that_sees_no_difference_is_uniform() -> None:
    model = net(0)
    nn.init.zeros_(model.head.weight)
    assert torch.equal(logit_structure(model, noise(10).unflatten(0, (2, 5))), torch.full((2, 4), 0.25))


@pytest.mark.parametrize("epsilon", [0.5 / 255, EPSILON, 0.3])
def test_images_predictions_and_sizes_are_those_of_the_attack_stage(epsilon: float) -> None:
    model, images, labels, ids = net(0), to_unit(noise(6, 4)), torch.arange(6) % 3, torch.arange(6)
    found = attack(model, images, labels, epsilon, STEPS, seeded(5))
    x_adv = pgd(model, images, labels, Threat("linf", epsilon), seeded(5), step_size=epsilon / 4, steps=STEPS)
    verdicts = audit(model, "pgd", Attack(kind="pgd", epsilon=epsilon), images, x_adv, labels, ids)
    assert torch.equal(found["predictions"], verdicts.clean_prediction)
    assert torch.equal(found["adversarial_predictions"], verdicts.adversarial_prediction)
    assert torch.equal(found["linf"], verdicts.linf.float())
    torch.testing.assert_close(found["l2"], verdicts.l2.float())
    assert torch.equal(found["adversarial"], (255 * x_adv).round().to(torch.uint8))
    assert torch.allclose(found["perturbation"].double(), x_adv.double() - images.double(), rtol=2**-11, atol=2**-25)
    with torch.no_grad():
        shares = model(x_adv).softmax(dim=1)
    assert torch.equal(found["adversarial_probabilities"], shares.max(dim=1).values)


def test_a_perturbation_below_half_a_pixel_value_is_not_lost() -> None:
    found = attack(net(0), to_unit(noise(2, 4)), torch.tensor([0, 1]), 0.4 / 255, STEPS, seeded())
    assert (found["adversarial"] == noise(2, 4)).all()
    assert found["perturbation"].abs().amax() > 0.39 / 255
