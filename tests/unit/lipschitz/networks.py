"""Networks whose local Lipschitz constants can be found in another way."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.core.models import Classifier
from stages.lipschitz.ascent import probabilities
from tests.unit.drawing import seeded, weights_from

SIDE = 8
PIXELS = 3 * SIDE * SIDE


class Linear(nn.Module):
    """Logits W x + b of all pixels. weight: (K, pixels)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.linear(images.flatten(1), self.get_buffer("weight"), self.get_buffer("bias"))


def two_classes(slope: float, lead: float) -> Linear:
    """p = sigmoid(u), u = `lead` at mid-gray, and |grad u| = `slope` in a direction drawn at random."""
    direction = torch.randn(PIXELS, generator=seeded(1))
    w = slope * direction / direction.norm()
    bias = torch.stack([lead - w.sum() / 2, torch.zeros(())])
    return Linear(torch.stack([w, torch.zeros(PIXELS)]), bias)


def of_two_classes(slope: float, u: float, delta: float) -> float:
    """L_x of `two_classes` in closed form but for a line search: sqrt(2) slope max (s(u + t) - s(u)) / t."""
    t = np.linspace(-slope * delta, slope * delta, 200_000)  # of even number: without 0
    return float(np.sqrt(2) * slope * np.max(np.abs(sigmoid(u + t) - sigmoid(u)) / np.abs(t)))


def sigmoid(u: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.asarray(u, dtype=np.float64))))


def several_classes(scale: float) -> Linear:
    """Linear logits of five classes."""
    weight = scale * torch.randn(5, PIXELS, generator=seeded(2))
    return Linear(weight, torch.randn(5, generator=seeded(3)) - weight.sum(1) / 2)


class Wavy(nn.Module):
    """Three classes over two pixels, the boundaries bent; images (B, 1, 1, 2)."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with weights_from(seed):
            bent, straight = nn.Linear(2, 24), nn.Linear(24, 3)
        with torch.no_grad():
            bent.weight.mul_(6)
            straight.weight.mul_(5)
        self.layers = nn.Sequential(bent, nn.Tanh(), straight)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images.flatten(1))
        return logits


def by_brute_force(model: nn.Module, image: Tensor, delta: float, points: int = 1500) -> float:
    """The largest ratio on a grid of distances and angles around one image (1, 1, 1, 2), cut by the box."""
    distance = delta * torch.logspace(-3, 0, points, dtype=torch.float64)
    angle = torch.linspace(0, 2 * torch.pi, points, dtype=torch.float64)
    change = distance[:, None, None] * torch.stack([angle.cos(), angle.sin()], -1)
    x = image.double().view(2) + change.view(-1, 2)
    x = x[((x >= 0) & (x <= 1)).all(1)]
    network = model.double()
    with torch.no_grad():
        moved = (probabilities(network(x)) - probabilities(network(image.double()))).norm(dim=1)
    model.float()
    return float((moved / (x - image.double().view(2)).norm(dim=1)).max())


def spectral_norms(model: nn.Module, images: Tensor) -> list[float]:
    """The largest singular value of the Jacobian of p at each image."""
    norms = []
    for image in images:
        jacobian = torch.autograd.functional.jacobian(lambda x: probabilities(model(x)), image.unsqueeze(0))
        norms.append(float(torch.linalg.matrix_norm(jacobian.squeeze(0).flatten(1).double(), 2)))
    return norms


def convolutional(seed: int) -> Classifier:
    """A small net whose batch norm has seen images, sharpened so that it is sure of some, in eval mode."""
    with weights_from(seed):
        model = Classifier("resnet18", width=2, classes=3)
    with torch.no_grad():
        for _ in range(20):
            model(torch.rand(32, 3, SIDE, SIDE, generator=seeded(seed)))
        model.head.weight.mul_(20)
    return model.eval()


def inner_images(count: int, seed: int = 0) -> Tensor:
    """Images (count, 3, SIDE, SIDE) away from the edges of the box."""
    return 0.3 + 0.4 * torch.rand(count, 3, SIDE, SIDE, generator=seeded(seed))
