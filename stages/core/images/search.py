"""How a fixed-step search goes about a threat: where it starts, how far it steps and how often."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stages.core.images.threat import Threat, standard_normal

Start = Literal["none", "uniform", "gaussian"]

GAUSSIAN_START_SCALE = 0.001


@dataclass(frozen=True)
class Search:
    """steps of step_size (pixels in [0, 1]) from a start: uniform in the ball, 0.001 * N(0, 1) (TRADES), the image."""

    step_size: float
    steps: int
    start: Start = "uniform"

    def begin(self, threat: Threat, images: Tensor, generator: torch.Generator) -> Tensor:
        """Where the search begins for each of images (B, C, H, W), in ball and box."""
        if self.start == "none":
            return images.clone()
        if self.start == "gaussian":
            return threat.project(images, images + GAUSSIAN_START_SCALE * standard_normal(images, generator))
        return threat.random_point(images, generator)

    def step(self, threat: Threat, images: Tensor, x_adv: Tensor, gradient: Tensor) -> Tensor:
        """One step of steepest ascent from x_adv, back in ball and box."""
        return threat.project(images, x_adv + self.step_size * threat.steepest(gradient))
