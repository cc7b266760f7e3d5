"""A recipe's precision: where bfloat16 reaches and where it does not, and what a step is allowed to round."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from stages.core.config.method import Method
from stages.core.config.recipe import Recipe
from stages.core.errors import DivergenceError
from stages.core.images.perturb import perturb, searching
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.core.job.epochs import CHECKED_EVERY
from stages.core.models import BACKBONES, Classifier
from stages.core.models.folding import folded
from stages.train import loop
from stages.train.batch import Augmented, Context, Targets
from stages.train.compose import method_loss
from stages.train.trained import Trained, trained
from tests.unit.drawing import seeded, weights_from
from tests.unit.train.diverging import diverge_at
from tests.unit.train.small_training import KEY, everything, fresh_net, inputs, picture_set, run, settings

SIDE = 16


def classifier(backbone: str) -> Classifier:
    with weights_from(0):
        return Classifier(backbone, width=8, classes=10)


def images(count: int = 16) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=seeded(0))


def dtypes(model: nn.Module, shown: nn.Module) -> dict[str, torch.dtype]:
    """Of every layer's output in a forward."""
    found: dict[str, torch.dtype] = {}

    def note(name: str) -> Any:
        return lambda module, given, output: found.update({name: output.dtype})

    hooks = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    shown(images())
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_bfloat16_begins_behind_the_pixels_and_ends_before_the_pooling(backbone: str) -> None:
    model = classifier(backbone)
    shown = trained(model, "bfloat16", images())
    found = dtypes(model, shown)
    stem = "backbone.stem.0" if backbone == "resnet18" else "backbone.stem"
    assert found.pop(stem) == found.pop("head") == torch.float32
    assert found.pop("backbone") == torch.float32
    assert {kind for name, kind in found.items() if name} == {torch.bfloat16}
    assert set(dtypes(model, model).values()) == {torch.float32}


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_weights_gradients_and_statistics_stay_float32_and_the_gradient_is_the_model_s_nearly(backbone: str) -> None:
    gradients, statistics = [], []
    for precision in ("exact", "bfloat16"):
        model = classifier(backbone).train()
        trained(model, precision, images())(images(64)).logsumexp(1).mean().backward()  # type: ignore[arg-type]
        assert {value.dtype for value in model.state_dict().values()} <= {torch.float32, torch.int64}
        assert all(parameter.grad is not None for parameter in model.parameters())
        slopes = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        gradients.append(torch.cat([slope.flatten() for slope in slopes]))
        statistics.append(torch.cat([buffer.flatten() for name, buffer in model.named_buffers() if "running" in name]))
    assert gradients[1].dtype == statistics[1].dtype == torch.float32
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.98
    assert not torch.equal(*gradients)
    torch.testing.assert_close(statistics[1], statistics[0], rtol=0.02, atol=0.02)


def test_a_pixel_s_smallest_difference_is_seen_in_bfloat16() -> None:
    """230/256 and 1/1024 more are one number in bfloat16."""
    model = classifier("resnet18")
    shown = trained(model, "bfloat16", images())
    flat = torch.full((2, 3, SIDE, SIDE), 230 / 256)
    flat[1] += 1 / 1024
    assert flat[0].bfloat16().equal(flat[1].bfloat16())
    seen: list[Tensor] = []
    hook = model.backbone.stem[0].register_forward_hook(lambda module, given, output: seen.append(output))  # type: ignore[index, union-attr]
    shown(flat)
    hook.remove()
    assert not torch.equal(seen[0][0], seen[0][1])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_adversarial_image_is_searched_by_the_folded_copy_of_this_moment(precision: str) -> None:
    model = classifier("resnet18").train()
    shown = trained(model, precision, images())  # type: ignore[arg-type]
    assert isinstance(shown, Trained)
    model(images(64))  # statistics move
    given = Threat("linf", 0.1), Search(0.05, 3)
    found = perturb(shown, images(), lambda logits: logits.logsumexp(1), *given, seeded(1))
    with searching(shown) as network:
        assert network is not model
    copy = folded(model.eval(), images(), torch.bfloat16 if precision == "bfloat16" else torch.float32)
    assert torch.equal(found, perturb(copy, images(), lambda logits: logits.logsumexp(1), *given, seeded(1)))


def test_exact_is_the_model_itself() -> None:
    model = classifier("resnet18")
    assert trained(model, "exact", images()) is model
    with searching(model) as network:
        assert network is model


def test_without_adversarial_images_float32_has_the_bits_of_exact(tmp_path: Path) -> None:
    given = inputs()
    found = [run(settings(precision=name), given, tmp_path / name) for name in ("exact", "float32")]
    assert everything(found[0]) == everything(found[1])


@pytest.mark.parametrize("objective", ["at", "trades", "mart"])
def test_adversarial_training_in_another_precision_takes_nearly_the_exact_steps(objective: str) -> None:
    labels, method = torch.arange(64) % 10, Method.model_validate({"objective": objective})
    losses: dict[str, list[float]] = {}
    for precision in ("exact", "float32", "bfloat16"):
        model = classifier("resnet18").train()
        shown = trained(model, precision, images())  # type: ignore[arg-type]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        losses[precision] = []
        for step in range(3):
            context = Context(Threat("linf", 8 / 255), Search(2 / 255, 10), seeded(step))
            loss, _ = method_loss(shown, Augmented(images(64), Targets(labels)), None, method, context)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[precision].append(float(loss.detach()))
    assert losses["float32"][0] == pytest.approx(losses["exact"][0], rel=1e-3)
    assert losses["bfloat16"][0] == pytest.approx(losses["exact"][0], rel=0.01)
    for rounded in ("float32", "bfloat16"):  # later, pixels where the gradient is 0 nearly have gone the other way
        assert losses[rounded] == pytest.approx(losses["exact"], rel=0.05)
    assert losses["exact"][2] < losses["exact"][0]


@pytest.mark.parametrize(("precision", "allowed"), [("exact", False), ("float32", False), ("float32", True)])
def test_tf32_is_on_inside_a_step_alone_and_only_where_the_recipe_says_so(
    precision: str, allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[tuple[bool, bool]]] = {"step": set(), "scoring": set()}

    def spy(place: str, name: str) -> None:
        original = getattr(loop, name)

        def noting(*given: Any) -> Any:
            seen[place].add((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
            return original(*given)

        monkeypatch.setattr(loop, name, noting)

    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    spy("step", "method_loss")
    spy("scoring", "measure_accuracy")
    run(settings(precision=precision, tf32=allowed, epochs=1), inputs(), tmp_path / "state.pt")
    assert seen == {"step": {(allowed, allowed)}, "scoring": {(False, False)}}
    assert before[0] == torch.backends.cuda.matmul.allow_tf32


def test_tf32_with_exact_is_refused() -> None:
    with pytest.raises(ValidationError, match="write precision: float32"):
        Recipe(tf32=True)


def test_exact_keeps_the_names_of_earlier_runs() -> None:
    assert not {"precision", "tf32"} & Recipe().identity().keys()
    assert Recipe(precision="bfloat16").identity()["precision"] == "bfloat16"


@pytest.mark.parametrize("steps", [CHECKED_EVERY - 1, 2 * CHECKED_EVERY])
def test_divergence_is_noticed_now_and_then_and_named_by_its_very_step(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step waits for a device to know its loss; the error comes at the next look, or at the epoch's end."""
    calls = 0
    diverge_at(monkeypatch, 3)
    original = loop.method_loss

    def counting(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        return original(*given)

    monkeypatch.setattr(loop, "method_loss", counting)
    given = loop.Inputs(picture_set(2 * steps, 0), picture_set(7, 1), None, None, None)
    with pytest.raises(DivergenceError, match=r"is nan at epoch 1 step 3 \(parts: loss nan"):
        loop.train(fresh_net(), settings(batch_size=2), given, tmp_path / "state.pt", KEY)
    assert calls == min(steps, CHECKED_EVERY)
    assert not (tmp_path / "state.pt").exists()
