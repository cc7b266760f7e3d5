"""Threat models: a norm ball of radius epsilon around an image, cut by the box [0, 1] (Madry et al., 2018)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stages.core.images.pixels import over_pixels

Norm = Literal["linf", "l2"]

_TINY = 1e-12


@dataclass(frozen=True)
class Threat:
    """What the adversary may do: move an image by at most epsilon in this norm; pixels are in [0, 1]."""

    norm: Norm
    epsilon: float

    def project(self, images: Tensor, x_adv: Tensor) -> Tensor:
        """The point of ball and box that belongs to x_adv: into the ball first, then into the box. (B, C, H, W)."""
        perturbation = x_adv - images
        if self.norm == "linf":
            perturbation = perturbation.clamp(-self.epsilon, self.epsilon)
        else:
            scale = (self.epsilon / per_image_l2(perturbation).clamp_min(_TINY)).clamp_max(1.0)
            perturbation = perturbation * over_pixels(scale)
        return (images + perturbation).clamp(0.0, 1.0)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The direction of size 1 that ascends the most: the sign for L-inf, the unit gradient for L2."""
        if self.norm == "linf":
            return gradient.sign()
        return gradient / over_pixels(per_image_l2(gradient).clamp_min(_TINY))

    def random_point(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """A point of ball and box for each image, by noise that is uniform in the ball.

        Under L2: a uniform direction at a radius uniform in [0, epsilon], as torchattacks draws it.
        """
        if self.norm == "linf":
            noise = (2 * _uniform(images.shape, images, generator) - 1) * self.epsilon
        else:
            direction = standard_normal(images, generator)
            radius = self.epsilon * _uniform(images.shape[:1], images, generator)
            noise = direction * over_pixels(radius / per_image_l2(direction).clamp_min(_TINY))
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


def standard_normal(images: Tensor, generator: torch.Generator) -> Tensor:
    """Noise N(0, 1) of the images' shape, drawn on the generator's own device, as all noise here is."""
    return torch.randn(images.shape, generator=generator, device=generator.device).to(images, non_blocking=True)


def _uniform(shape: torch.Size, images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device).to(images, non_blocking=True)
