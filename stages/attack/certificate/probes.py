"""What is measured of a model beside who is robust: its outputs, its gradients, and the path of a search.

The path and the loss around an image answer to the six indicators of Pintor et al. (2022, "Indicators of Attack
Failure"), the outputs and the gradients to the flags of AutoAttack (Croce & Hein, 2020).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.attack.certificate.battery import BATCH, STEPS, STEPS_ACROSS, Battery
from stages.attack.margin import margin
from stages.core.images.perturb import perturb
from stages.core.images.search import Search
from stages.core.models.folding import folded

PROBED = 32
CALLS = 5
DRAWS = 20
WATCHED = 2 * STEPS  # of a path
LAST = 10  # of these
HEADWAY = 0.05  # of a path's whole gain


class Differentiable(nn.Module):
    """A model of which a gradient can be asked: of one that gives none it is 0."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K)."""
        return self.model(images) + 0.0 * images.flatten(1).sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class Outputs:
    """Of the clean images: logits (n, K), the largest changes of a logit in parts of the largest, and what they are.

    again: at another call; beside: with other images beside it; training: submodules in train mode.
    """

    logits: Tensor
    again: float
    beside: float
    training: tuple[str, ...]
    probabilities: bool


def outputs(model: nn.Module, images: Tensor) -> Outputs:
    """Of a model on images (n, C, H, W)."""
    few = images[:PROBED]
    training = tuple(name or "model" for name, module in model.named_modules() if module.training)
    with torch.no_grad():
        logits = torch.cat([model(part) for part in images.split(BATCH)])
        first, *others = (model(few) for _ in range(CALLS))
        alone = torch.cat([model(one) for one in few.split(1)])
    scale = first.abs().max().clamp_min(1e-12)
    again = max(float((other - first).abs().max() / scale) for other in others)
    beside = float((alone - first).abs().max() / scale)
    sums = logits.sum(dim=1)
    probabilities = bool((logits >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)
    return Outputs(logits, again, beside, training, probabilities)


def differentiable(model: nn.Module, images: Tensor) -> bool:
    """Whether autograd has a gradient of the logits in the pixels."""
    at = images[:1].clone().requires_grad_(True)
    try:
        torch.autograd.grad(model(at).sum(), at)
    except RuntimeError:
        return False
    return True


def untargeted_dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """-(z_y - max_{k != y} z_k) / (z_(1) - z_(3)) (Croce & Hein, 2020, Eq. 6); 3 classes or more."""
    first, _, third = logits.topk(3, dim=1).values.unbind(dim=1)
    return margin(logits, labels) / (first - third + 1e-12)


def zero_gradients(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, int]:
    """At how many of the images (n, C, H, W) the gradient of each loss of the attacks is 0 in every pixel."""
    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "cross-entropy": lambda logits, labels: F.cross_entropy(logits, labels, reduction="none"),
        "margin": margin,
    }
    with torch.no_grad():
        if model(images[:1]).shape[1] > 2:
            losses["DLR"] = untargeted_dlr
    found = dict.fromkeys(losses, 0)
    for part, truth in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        for name, loss in losses.items():
            at = part.clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(loss(model(at), truth).sum(), at)
            found[name] += int((gradient.flatten(1).abs().amax(dim=1) == 0).sum())
    return found


def unstable_loss(model: nn.Module, battery: Battery, chosen: Tensor) -> float:
    """By how much the margin changes in noise of half the radius, in parts of itself; the mean over images.

    Of an image the mean over DRAWS of |L(x + noise) - L(x)| / |L(x)|, noise uniform in [-epsilon / 2, epsilon / 2], and
    at most 1, so that one image on the boundary does not speak for all.
    """
    generator = battery.generator(1)
    found = []
    for rows in chosen.split(BATCH):
        images, labels = battery.images[rows], battery.labels[rows]
        with torch.no_grad():
            at = margin(model(images), labels)
            changes = torch.zeros_like(at)
            for _ in range(DRAWS):
                noise = (torch.rand(images.shape, generator=generator) - 0.5).to(images) * battery.epsilon
                changes += (margin(model(images + noise), labels) - at).abs() / at.abs().clamp_min(1e-12)
        found.append((changes / DRAWS).clamp_max(1.0))
    return float(torch.cat(found).mean())


class Recorder(nn.Module):
    """A network that keeps what it returned, (B, K) each."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.kept: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K)."""
        logits: Tensor = self.network(images)
        self.kept.append(logits.detach())
        return logits


@dataclass(frozen=True)
class Path:
    """Of PGD on the margin, WATCHED steps: of k images, (k,) bool each.

    fooled: at the last point; passed: at one before; moving: the last LAST steps gained more than HEADWAY of all;
    copied: misclassified at the last point by the network that was searched and not by the model; flipped: the model's
    prediction there is another when the image is alone, or in float64, if it can be had (exact).
    """

    fooled: Tensor
    passed: Tensor
    moving: Tensor
    copied: Tensor
    flipped: Tensor
    exact: bool


def path(battery: Battery, chosen: Tensor) -> Path:
    """That of the images at `chosen` (k,)."""
    generator, network = battery.generator(2), folded(battery.model, battery.images[chosen])
    double = in_float64(battery.model, battery.images[chosen[:1]])
    parts = [_path(battery, network, double, rows, generator) for rows in chosen.split(BATCH)]
    fooled, passed, moving, copied, flipped = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return Path(fooled, passed, moving, copied, flipped, exact=double is not None)


def _path(
    battery: Battery, network: nn.Module, double: nn.Module | None, rows: Tensor, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """What a `Path` says of a batch, but for `exact`."""
    model, images, labels = battery.model, battery.images[rows], battery.labels[rows]
    recorder = Recorder(network).eval()
    search = Search(battery.epsilon / STEPS_ACROSS, WATCHED)
    x_adv = perturb(recorder, images, lambda logits: margin(logits, labels), battery.threat, search, generator)
    with torch.no_grad():
        recorder(x_adv)
        leads = torch.stack([margin(logits, labels) for logits in recorder.kept])
        predicted = model(x_adv).argmax(dim=1)
        flipped = torch.cat([model(one) for one in x_adv.split(1)]).argmax(dim=1) != predicted
        if double is not None:
            flipped |= torch.cat([double(few.double()) for few in x_adv.split(PROBED)]).argmax(dim=1) != predicted
    fooled = predicted != labels
    best = leads.cummax(dim=0).values
    gain = (best[-1] - leads.amin(dim=0)).clamp_min(1e-12)
    moving = (best[-1] - best[-1 - LAST]) > HEADWAY * gain
    return fooled, (leads[:-1] > 0).any(dim=0), moving, (leads[-1] > 0) & ~fooled, flipped


def in_float64(model: nn.Module, images: Tensor) -> nn.Module | None:
    """A float64 copy that gives float64 logits of images (n, C, H, W); None where the model's own code does not."""
    double = copy.deepcopy(model).double()
    try:
        with torch.no_grad():
            return double if double(images.double()).dtype == torch.float64 else None
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        return None
