"""The paper's methods as presets of three choices (augmentation, objective, LSP term) and a recipe."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "vanilla": {"title": "Vanilla"},
    "mixup": {"title": "Mixup", "augmentation": {"name": "mixup"}},
    "cutmix": {"title": "CutMix", "augmentation": {"name": "cutmix"}},
    "augmix": {"title": "AugMix", "augmentation": {"name": "augmix"}},
    "lsp": {"title": "LSP", "lsp": {}},
    "at": {"title": "AT", "objective": {"name": "at"}, "recipe": "adversarial"},
    "trades": {"title": "TRADES", "objective": {"name": "trades"}, "recipe": "adversarial"},
    "mart": {"title": "MART", "objective": {"name": "mart"}, "recipe": "adversarial"},
    "hat": {"title": "HAT", "objective": {"name": "hat"}, "recipe": "adversarial", "helper": "hat-helper"},
    "hat-helper": {"title": "HAT's helper net", "recipe": "adversarial"},
    "lsp+": {"title": "LSP+", "objective": {"name": "at"}, "recipe": "adversarial", "lsp": {}},
}
