"""The paper's methods and two controls as presets of augmentation, objective, LSP term and recipe."""

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
    "gradient-norm": {"title": "Gradient norm", "objective": {"name": "gradient-norm"}},
    "manifold": {"title": "Manifold", "objective": {"name": "manifold"}},
    "lsp+": {"title": "LSP+", "objective": {"name": "at"}, "recipe": "adversarial", "lsp": {}},
}
