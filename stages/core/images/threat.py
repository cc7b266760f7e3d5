"""Threat models: a norm ball of radius epsilon around an image, cut by the box [0, 1] (Madry et al., 2018)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Norm = Literal["linf", "l2"]
Start = Literal["none", "uniform", "gaussian"]

GAUSSIAN_START_SCALE = 0.001
_TINY = 1e-12


@dataclass(frozen=True)
class Threat:
    """What the adversary may do and how the fixed-step search goes about it; pixels are in [0, 1].

    epsilon: radius of the ball; step_size, steps: of the search; start: the first perturbation, drawn
    uniformly in the ball, from 0.001 * N(0, 1) (TRADES) or zero.
    """

    norm: Norm
    epsilon: float
    step_size: float
    steps: int
    start: Start = "uniform"

    def project(self, images: Tensor, x_adv: Tensor) -> Tensor:
        """The point of ball and box that belongs to x_adv: into the ball first, then into the box. (B, C, H, W)."""
        perturbation = x_adv - images
        if self.norm == "linf":
            perturbation = perturbation.clamp(-self.epsilon, self.epsilon)
        else:
            scale = (self.epsilon / per_image_l2(perturbation).clamp_min(_TINY)).clamp_max(1.0)
            perturbation = perturbation * _over_pixels(scale)
        return (images + perturbation).clamp(0.0, 1.0)

    def ascend(self, x_adv: Tensor, gradient: Tensor) -> Tensor:
        """One step of steepest ascent under the norm: the sign for L-inf, the unit gradient for L2."""
        if self.norm == "linf":
            return x_adv + self.step_size * gradient.sign()
        unit = gradient / _over_pixels(per_image_l2(gradient).clamp_min(_TINY))
        return x_adv + self.step_size * unit

    def random_start(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The image the search begins at, in ball and box. Noise is drawn on the generator's device.

        Uniform under L2: a uniform direction at a radius uniform in [0, epsilon], as torchattacks draws it.
        """
        if self.start == "none" or self.epsilon == 0:
            return images.clone()
        if self.start == "gaussian":
            noise = GAUSSIAN_START_SCALE * _normal(images, generator)
        elif self.norm == "linf":
            noise = (2 * _uniform(images.shape, images, generator) - 1) * self.epsilon
        else:
            direction = _normal(images, generator)
            radius = self.epsilon * _uniform(images.shape[:1], images, generator)
            noise = direction * _over_pixels(radius / per_image_l2(direction).clamp_min(_TINY))
        return self.project(images, images + noise)

    def size(self, images: Tensor, x_adv: Tensor) -> Tensor:
        """(B,) size of each perturbation in this norm."""
        return per_image_linf(x_adv - images) if self.norm == "linf" else per_image_l2(x_adv - images)


def per_image_l2(perturbation: Tensor) -> Tensor:
    """(B,) L2 norm over each image's pixels and channels."""
    return perturbation.flatten(1).norm(dim=1)


def per_image_linf(perturbation: Tensor) -> Tensor:
    """(B,) largest absolute value over each image's pixels and channels."""
    return perturbation.flatten(1).abs().amax(dim=1)


def _over_pixels(per_image: Tensor) -> Tensor:
    return per_image.view(-1, 1, 1, 1)


def _normal(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(images.shape, generator=generator, device=generator.device).to(images)


def _uniform(shape: torch.Size, images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device).to(images)
