"""What the audit catches, and that batches, devices and names enter a result as documented."""

import json
import random
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.attack import evaluate as evaluation
from stages.attack.audit import audit, require_eval_mode, score
from stages.attack.evaluate import Trial, evaluate
from stages.attack.library import as_library_sees
from stages.core.artifacts import ImageSet, require_labels
from stages.core.config.attacks import Attack, AttackSettings
from stages.core.errors import ArtifactError, AuditError, ConfigError, DivergenceError
from stages.core.images.subset import measured_images
from stages.core.job.stage import load_settings
from tests.unit.drawing import CPU, random_states

INDICES = torch.tensor([7, 41, 90])


def attack(kind: str = "pgd", **fields: object) -> Attack:
    return Attack.model_validate({"kind": kind, "batch_size": 4, **fields})


def pixels(test: ImageSet) -> Tensor:
    return test.images.float() / 255


@pytest.mark.parametrize(("norm", "size"), [("linf", 0.03), ("l2", 0.4)])
def test_audit_holds_an_image_to_its_ball(model: nn.Module, norm: str, size: float) -> None:
    images = torch.full((3, 3, 8, 8), 0.5)
    edge = images.clone()
    edge[1, 0, 0, 0] += size
    allowed = attack(norm=norm, epsilon=size)
    audit(model, "x", allowed, images, edge, torch.zeros(3), INDICES)
    tight = attack(norm=norm, epsilon=size - 2e-5)
    with pytest.raises(AuditError, match=rf"attack 'x', image 41: {norm} size 0\.\d+ exceeds epsilon 0\."):
        audit(model, "x", tight, images, edge, torch.zeros(3), INDICES)


@pytest.mark.parametrize("value", [-1e-6, 1.0001, float("nan"), float("inf")])
def test_audit_catches_an_image_out_of_the_box_even_unbounded(model: nn.Module, value: float) -> None:
    images = torch.full((3, 3, 8, 8), 0.5)
    x_adv = images.clone()
    x_adv[2, 1, 3, 3] = value
    unbounded = attack("cw")
    with pytest.raises(AuditError, match=r"attack 'x', image 90: pixel .* lies out of the box \[0, 1\]"):
        audit(model, "x", unbounded, images, x_adv, torch.zeros(3), INDICES)


def test_audit_lets_an_unbounded_attack_leave_the_ball_and_holds_clean_to_the_image(model: nn.Module) -> None:
    images = torch.full((3, 3, 8, 8), 0.5)
    moved = images + 0.01
    assert float(audit(model, "x", attack("cw"), images, moved, torch.zeros(3), torch.arange(3)).linf.max()) > 0.009
    with pytest.raises(AuditError, match="exceeds epsilon 0"):
        audit(model, "x", attack("clean"), images, moved, torch.zeros(3), torch.arange(3))


def test_audit_refuses_another_shape(model: nn.Module) -> None:
    images = torch.full((3, 3, 8, 8), 0.5)
    with pytest.raises(AuditError, match="one image for each"):
        audit(model, "x", attack(), images, images[:2], torch.zeros(3), torch.arange(3))


def test_robust_means_right_on_the_clean_and_on_the_adversarial_image(model: nn.Module, test_set: ImageSet) -> None:
    images, labels = pixels(test_set), test_set.labels
    x_adv = images.flip(0)
    found = audit(model, "x", attack("cw"), images, x_adv, labels, torch.arange(len(labels)))
    with torch.no_grad():
        clean, adversarial = model(images).argmax(1), model(x_adv).argmax(1)
    assert torch.equal(found.clean_prediction, clean)
    assert torch.equal(found.adversarial_prediction, adversarial)
    assert found.robust.tolist() == [c == a == y for c, a, y in zip(clean, adversarial, labels, strict=True)]
    assert found.l2.tolist() == pytest.approx((x_adv - images).flatten(1).norm(dim=1).tolist(), rel=1e-5)


def test_a_logit_that_is_not_finite_names_its_image(model: nn.Module) -> None:
    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            logits = model(images)
            logits[images[:, 0, 0, 0] > 0.9, 3] = torch.nan
            return logits

    images = torch.full((130, 3, 8, 8), 0.5)
    images[120, 0, 0, 0] = 1.0
    with pytest.raises(DivergenceError, match="image 320"):
        score(Broken(), "x", images, torch.arange(200, 330))


def test_a_submodule_in_train_mode_is_caught(model: nn.Module) -> None:
    require_eval_mode(model, "x")
    model.get_submodule("0.1").train()
    with pytest.raises(AuditError, match=r"submodule '0\.1' is in train mode"):
        require_eval_mode(model, "x")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda model, x: model[0][1].train(), r"submodule '0\.1' is in train mode"),
        (lambda model, x: model[2].bias.data.add_(1), "changed the model's '2.bias'"),
        (lambda model, x: model[0][1].running_mean.add_(1), "changed the model's '0.1.running_mean'"),
        (lambda model, x: x.add_(0.1).clamp_(0, 1), "exceeds epsilon"),
        (lambda model, x: x.sub_(0.02), "out of the box"),
    ],
)
def test_evaluate_fails_for_an_attack_that_breaks_a_rule(
    model: nn.Module, test_set: ImageSet, monkeypatch: pytest.MonkeyPatch, fault: object, message: str
) -> None:
    def broken(model: nn.Module, images: Tensor, *_: object, **__: object) -> Tensor:
        x_adv = images.clone()
        fault(model, x_adv)  # type: ignore[operator]
        return x_adv

    monkeypatch.setattr(evaluation, "attack_function", lambda kind: broken)
    with pytest.raises(AuditError, match=message):
        evaluate(Trial(model, "x", attack("autoattack"), test_set, 0, CPU))


def test_a_library_cannot_switch_the_model_and_is_caught_if_it_reaches_around(model: nn.Module) -> None:
    with as_library_sees(model) as frozen:
        frozen.train()
        assert not any(module.training for module in frozen.modules())
    with pytest.raises(AuditError, match="train mode"), as_library_sees(model):
        model.get_submodule("0").train()
    require_eval_mode(model, "x")


def test_a_library_gives_back_random_states_and_the_trace_function(model: nn.Module) -> None:
    def tracer(*_: object) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    states = random_states()
    try:
        with as_library_sees(model):
            sys.settrace(None)
            random.seed(0)
            np.random.seed(0)
            torch.manual_seed(0)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
    assert random_states() == states


def test_a_misclassified_image_is_never_robust_and_epsilon_zero_keeps_the_clean_accuracy(
    model: nn.Module, test_set: ImageSet
) -> None:
    table, facts = evaluate(Trial(model, "x", attack(epsilon=0), test_set, 0, CPU))
    assert facts["robust_accuracy"] == facts["clean_accuracy"] == pytest.approx(7 / 11)
    assert facts["largest_linf"] == facts["largest_l2"] == 0
    assert table.column("robust").to_pylist() == [index % 3 != 0 for index in range(11)]
    assert table.column("index").to_pylist() == list(range(11))


@pytest.mark.slow
@pytest.mark.parametrize("subset", ["stratified", "first"])
def test_outcomes_are_those_of_the_images_chosen_by_their_index_each_once(
    model: nn.Module, test_set: ImageSet, subset: str
) -> None:
    chosen = measured_images(test_set.labels, 6, subset)  # type: ignore[arg-type]
    table, facts = evaluate(Trial(model, "x", attack(images=6, subset=subset), test_set, 0, CPU))
    alone = ImageSet(test_set.images[chosen], test_set.labels[chosen], test_set.classes)
    of_alone, _ = evaluate(Trial(model, "x", attack(), alone, 0, CPU))
    assert facts["n"] == 6
    assert table.column("index").to_pylist() == chosen.tolist()
    assert table.drop_columns(["index"]).equals(of_alone.drop_columns(["index"]))
    assert evaluate(Trial(model, "x", attack(images=999), test_set, 0, CPU))[1]["n"] == 11


def test_a_batchs_stream_is_named_by_seed_attack_and_place_as_in_the_published_runs() -> None:
    assert evaluation.stream_seed(0, "pgd-9ea6c647", 256) == 847082405717741965


def test_what_draws_nothing_does_not_depend_on_batch_size_seed_or_name(model: nn.Module, test_set: ImageSet) -> None:
    first, _ = evaluate(Trial(model, "x", attack(options={"random_start": False}), test_set, 0, CPU))
    other, _ = evaluate(Trial(model, "y", attack(options={"random_start": False}, batch_size=11), test_set, 5, CPU))
    assert first.drop_columns(["attack", "l2"]).equals(other.drop_columns(["attack", "l2"]))


def test_a_random_start_depends_on_seed_and_name_and_on_nothing_else(model: nn.Module, test_set: ImageSet) -> None:
    def sizes(name: str, seed: int) -> list[float]:
        one_step = attack(options={"steps": 1, "step_size": 0.001})
        return evaluate(Trial(model, name, one_step, test_set, seed, CPU))[0].column("l2").to_pylist()

    first = sizes("x", 0)
    torch.manual_seed(7)
    assert sizes("x", 0) == first
    assert sizes("x", 1) != first
    assert sizes("y", 0) != first


@pytest.mark.parametrize(
    ("attacks", "message"),
    [
        ({"a": {"kind": "pgdd"}}, r"attacks\.a\.kind: 'pgdd' is none of the attacks \(did you mean 'pgd'\?\)"),
        ({"a": {"kind": "pgd", "options": {"step": 3}}}, r"did you mean 'steps'"),
    ],
)
def test_settings_that_cannot_run_are_refused(attacks: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_settings(json.dumps({"attacks": attacks}), AttackSettings)


def test_hyphens_name_the_same_attack_and_options_take_fractions() -> None:
    fields = {"kind": "margin-pgd", "options": {"step_size": "1/255", "steps": "1e1"}}
    assert Attack.model_validate(fields).options == {
        "step_size": 1 / 255,
        "steps": 10,
        "restarts": 1,
        "random_start": True,
    }
    assert evaluation.attack_function("margin-pgd") is evaluation.attack_function("margin_pgd")


def test_labels_must_name_the_models_classes(test_set: ImageSet) -> None:
    require_labels(test_set, 10, "t")
    with pytest.raises(ArtifactError, match="t: the images have 10 classes and the model 9"):
        require_labels(test_set, 9, "t")
    with pytest.raises(ArtifactError, match="no labels"):
        require_labels(ImageSet(test_set.images, torch.full((11,), -1), test_set.classes), 10, "t")
