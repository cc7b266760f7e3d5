"""`compile: true`: the same steps through torch.compile, nearly; and their own bits again after an interruption."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from stages.core.config.recipe import Recipe
from stages.core.errors import ConfigError
from stages.core.images.split import held_out_mask
from stages.core.models import Classifier
from stages.core.models.compiling import Compiled
from stages.train import loop
from stages.train.loop import Inputs
from stages.train.trained import trained
from tests.unit.drawing import seeded, weights_from
from tests.unit.interrupting import interrupted_at, place
from tests.unit.train.small_training import IMAGES, M, companions, everything, inputs, run, settings

needs_a_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler is here")


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """What is compiled belongs to a process; a test begins without."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_compile_with_exact_is_refused() -> None:
    with pytest.raises(ValidationError, match="write precision: float32"):
        Recipe(compile=True)


def test_a_recipe_that_compiles_nothing_keeps_its_name() -> None:
    assert "compile" not in Recipe().identity()
    assert Recipe(precision="bfloat16", compile=True).identity()["compile"] is True


class Deciding(nn.Module):
    """What hangs on a number that is known when it runs makes no one program."""

    def forward(self, images: Tensor) -> Tensor:
        return images * 2 if float(images.sum()) > 0 else images


def test_what_cannot_be_compiled_is_said_in_a_line() -> None:
    with pytest.raises(ConfigError, match=r"^compile: true cannot be had here \(.+\); write compile: false$"):
        Compiled(Deciding())(torch.ones(2, 3, 4, 4))


@pytest.mark.slow
@needs_a_compiler
def test_logits_gradients_and_statistics_are_nearly_those_of_the_model_itself() -> None:
    images = torch.rand(32, 3, 16, 16, generator=seeded(0))
    found = []
    for compiled in (False, True):
        with weights_from(0):
            model = Classifier("resnet18", width=8, classes=10).train()
        shown = trained(model, "float32", images, compiled)
        logits = shown(images)
        logits.logsumexp(1).mean().backward()
        slopes = torch.cat([value.grad.flatten() for value in model.parameters() if value.grad is not None])
        statistics = torch.cat([value.flatten() for name, value in model.named_buffers() if "running" in name])
        found.append((logits.detach(), slopes, statistics))
    (logits, slopes, statistics), (own_logits, own_slopes, own_statistics) = found
    assert float((own_logits - logits).abs().max() / logits.abs().max()) < 1e-4
    assert float((own_slopes - slopes).norm() / slopes.norm()) < 1e-3
    torch.testing.assert_close(own_statistics, statistics, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@needs_a_compiler
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path: Path) -> None:
    """An adversarial run whose steps forward as many neighbors as they lack: one that goes on meets other sizes first.

    Batches of 21, so that no last one is of another size's program.
    """
    chosen = settings(
        {"objective": "trades", "recipe": "adversarial", "lsp": {"m": M, "batches": "neighborhoods"}},
        precision="bfloat16",
        compile=True,
        batch_size=21,
        epochs=2,
    )

    def given() -> Inputs:
        allowed = ~held_out_mask(IMAGES, 1024)
        return inputs(companions(allowed), companions(allowed))

    whole = everything(run(chosen, given(), tmp_path / "whole.pt"))
    for _ in range(3):
        torch._dynamo.reset()
        with interrupted_at(loop, "method_loss", 1):
            run(chosen, given(), tmp_path / "state.pt")
    torch._dynamo.reset()
    assert place(tmp_path / "state.pt") == (1, 1)
    assert everything(run(chosen, given(), tmp_path / "state.pt")) == whole
