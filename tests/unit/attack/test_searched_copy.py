"""An attack that searches the folded copy: verdicts stay the model's, and the copy costs it no success."""

import copy

import pytest
from torch import Tensor, nn

from stages.attack import evaluate as evaluation
from stages.attack.evaluate import Trial, evaluate
from stages.core.artifacts import ImageSet
from stages.core.config.plugins import declares, known
from stages.core.errors import AuditError
from stages.core.models.folding import folded
from tests.unit.attack.test_audit import attack
from tests.unit.drawing import CPU


def test_evaluate_fails_for_an_attack_that_changes_the_copy_it_searches(
    model: nn.Module, test_set: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: nn.Module, images: Tensor, *_: object, **__: object) -> Tensor:
        next(model.parameters()).data.add_(1)
        return images.clone()

    monkeypatch.setattr(evaluation, "attack_function", lambda kind: broken)
    with pytest.raises(AuditError, match="changed the model's"):
        evaluate(Trial(model, "x", attack(), test_set, 0, CPU))


def test_a_copys_claim_that_the_model_denies_is_attacked_again_with_the_model(
    model: nn.Module, test_set: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_cw = Trial(model, "x", attack("cw", options={"c": 1, "steps": 5}), test_set, 0, CPU)
    monkeypatch.setattr(evaluation, "folded", lambda model, images: model)
    exact, facts = evaluate(of_cw)
    assert 0 < facts["robust_accuracy"] < facts["clean_accuracy"]
    seen = []

    def another(model: nn.Module, images: Tensor) -> nn.Module:
        """A copy that takes most images for broken as they are."""
        seen.append(len(images))
        copied = copy.deepcopy(model)
        copied.get_parameter("2.bias").data[3] += 100
        return copied

    monkeypatch.setattr(evaluation, "folded", another)
    assert evaluate(of_cw)[0].equals(exact)
    assert seen == [8]


def test_a_folded_attacks_verdicts_are_the_models(
    model: nn.Module, test_set: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = [kind for kind in known("attacks") if declares("attacks", kind, "FOLDED")]
    assert kinds == ["autoattack_torchattacks", "cw", "cw_torchattacks", "fgsm", "margin_pgd", "pgd", "random_noise"]
    trials = [Trial(model, "x", attack(kind), test_set, 0, CPU) for kind in kinds]
    copies = []

    def counted(model: nn.Module, images: Tensor) -> nn.Module:
        copies.append(folded(model, images))
        return copies[-1]

    monkeypatch.setattr(evaluation, "folded", counted)
    found = [evaluate(trial)[0] for trial in trials]
    assert len(copies) == len(kinds)
    monkeypatch.setattr(evaluation, "folded", lambda model, images: model)
    for ours, trial in zip(found, trials, strict=True):
        exact = evaluate(trial)[0]
        assert ours["robust"].equals(exact["robust"])
        assert ours["l2"].to_pylist() == pytest.approx(exact["l2"].to_pylist(), rel=0.02)
