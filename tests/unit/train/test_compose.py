"""What a method's parts give each other: logits from the objective to the terms that build on them."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from stages.core.config.method import Method
from stages.core.config.plugins import Plugin
from stages.core.errors import ConfigError
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.train import compose
from stages.train.batch import Augmented, Context, Scored, Targets


@pytest.mark.parametrize("chosen", [{"lsp": {"m": 2}}, {"augmentation": "augmix"}])
def test_an_objective_that_returns_no_extra_logits_is_named_in_its_first_step(
    chosen: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    score = compose.plugin_function("objectives", Plugin(name="ce"))

    def forgetful(*given: object) -> Scored:
        return replace(score(*given), extra_logits=None)

    monkeypatch.setattr(compose, "plugin_function", lambda kind, component: forgetful)
    images, labels = torch.rand(4, 3, 2, 2), torch.arange(4)
    views: tuple[Tensor, ...] = ()
    near = None
    if "lsp" in chosen:
        near = compose.Neighborhood(images.repeat_interleave(2, dim=0), torch.full((4, 2), 0.5))
    else:
        views = (images, images)
    with pytest.raises(ConfigError, match=r"objectives/ce\.py returns no extra logits, .*`forwards") as caught:
        compose.method_loss(
            nn.Sequential(nn.Flatten(), nn.Linear(12, 4)),
            Augmented(images, Targets(labels), views, lambda logits: logits[0].sum()),
            near,
            Method.model_validate(chosen),
            Context(Threat("linf", 0.0), Search(0.1, 1), torch.Generator()),
        )
    assert "\n" not in str(caught.value)
