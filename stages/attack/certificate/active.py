"""The active test: a task in which an adversarial example provably exists, which the attack must find.

Zimmermann et al. (2022, "Increasing Confidence in Adversarial Robustness Evaluations"): around an image, a readout of
the model's features is fitted that tells points inside the ball from one on its surface. That one is misclassified by
a hair, so an attack of the same radius that finds nothing is what fails, and not the ball.
The readout is the paper's in all but the solver: here the Fisher discriminant, by one linear system for each image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stages.attack.attacks.margin_pgd import margin_pgd
from stages.attack.attacks.pgd import pgd
from stages.attack.certificate.battery import RESTARTS, STEPS, STEPS_ACROSS, Battery
from stages.attack.certificate.probes import Differentiable

INNER = 256  # points; in few dimensions INNER_A_DIMENSION for each
INNER_A_DIMENSION = 2
INSIDE = 0.95  # of the radius, that the inner points keep within
CLOSENESS = 0.9999  # of the way from the inner points to the one on the surface, where the boundary lies
RIDGE = 1e-3
TRIES = 200  # of a random attack
BATCH = 512


class Features(nn.Module):
    """What a model's last linear layer is given: (B, C, H, W) -> (B, d); else the logits."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.model = model
        self.head = _head(model, images)

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, d)."""
        if self.head is None:
            return self.model(images)
        kept: list[Tensor] = []
        handle = self.head.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
        try:
            self.model(images)
        finally:
            handle.remove()
        return kept[-1]


@dataclass(frozen=True)
class Readout:
    """A linear function of features (d,): positive on the surface's side.

    width: of its values on the points that it was fitted to; fits: whether it tells them apart, in float32.
    """

    center: Tensor
    normal: Tensor
    offset: Tensor
    width: Tensor
    fits: bool


class Binarized(nn.Module):
    """Features with a readout for each image of one batch: (k, C, H, W) -> logits (k, 2), class 1 the surface's."""

    def __init__(self, features: Features, readouts: Sequence[Readout], scale: float) -> None:
        super().__init__()
        self.features, self.scale = features, scale
        self.centers, self.normals, self.offsets = (
            torch.stack([getattr(readout, name) for readout in readouts]).float()
            for name in ("center", "normal", "offset")
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (k, 2)."""
        score = ((self.features(images) - self.centers) * self.normals).sum(dim=1) - self.offsets
        return torch.stack([-score, score], dim=1) * self.scale


@dataclass(frozen=True)
class Found:
    """Of how many images the readout could be fitted, and in how many of these each attack found a way, by its name.

    dimensions: of the features; still: images around which these do not move at all.
    """

    images: int
    fitted: int
    found: dict[str, int]
    dimensions: int
    still: int


def active_test(battery: Battery, chosen: Tensor) -> Found:
    """The test on the images at `chosen` (k,)."""
    images, generator = battery.images[chosen], battery.generator(3)
    model = battery.model
    features = Features(model, images).eval()
    with torch.no_grad():
        dimensions = features(images[:1]).shape[1]
    inner = min(INNER, INNER_A_DIMENSION * dimensions)
    fitted: dict[int, Readout] = {}
    spans, still = [], 0
    for place, image in enumerate(images):
        points = torch.cat([image.unsqueeze(0), *_around(image, battery.epsilon, inner, generator)])
        with torch.no_grad():
            told = torch.cat([features(part) for part in points.split(BATCH)])
            logits = model(points[:BATCH])
        still += bool((told == told[0]).all())
        if (readout := _readout(told)).fits:
            fitted[place] = readout
            spans.append((logits.max() - logits.min()) / readout.width / 2)
    if not fitted:
        return Found(len(images), 0, {}, dimensions, still)
    network = Differentiable(Binarized(features, list(fitted.values()), float(torch.stack(spans).median()))).eval()
    found = _attacked(network, images[list(fitted)], battery, generator)
    return Found(len(images), len(fitted), found, dimensions, still)


def _attacked(network: nn.Module, images: Tensor, battery: Battery, generator: torch.Generator) -> dict[str, int]:
    """In how many images a point of the surface's class was found, by what."""
    labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    found = {}
    for name, attack in (("PGD", pgd), ("margin-PGD", margin_pgd)):
        x_adv = attack(
            network,
            images,
            labels,
            battery.threat,
            generator,
            step_size=battery.epsilon / STEPS_ACROSS,
            steps=STEPS,
            restarts=RESTARTS,
        )
        with torch.no_grad():
            found[name] = int(network(x_adv).argmax(dim=1).sum())
    hit = torch.zeros_like(labels, dtype=torch.bool)
    with torch.no_grad():
        for _ in range(TRIES):
            hit |= network(battery.threat.random_point(images, generator)).argmax(dim=1) == 1
    return {**found, "chance": int(hit.sum())}


def _around(image: Tensor, epsilon: float, inner: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`inner` points (inner, C, H, W) within INSIDE of the ball, and one (1, C, H, W) on its surface."""
    noise = 2 * torch.rand((inner + 1, *image.shape), generator=generator) - 1
    noise = noise.to(image)
    within = image + INSIDE * epsilon * noise[:inner]
    surface = image + epsilon * noise[inner:]
    place = int(torch.randint(image.numel(), (), generator=generator))
    pixel = image.flatten()[place]
    surface.view(-1)[place] = pixel + (epsilon if pixel <= 0.5 else -epsilon)
    return within.clamp(0, 1), surface.clamp(0, 1)


def _readout(features: Tensor) -> Readout:
    """What tells the last of features (p, d) from the others."""
    exact = features.double()
    center = exact[:-1].mean(dim=0)
    inner, surface = exact[:-1] - center, exact[-1] - center
    spread = inner.T @ inner / len(inner)
    ridge = RIDGE * spread.diagonal().mean().clamp_min(1e-30)
    normal = torch.linalg.solve(spread + ridge * torch.eye(len(spread)).to(spread), surface)
    scores = (exact - center) @ normal
    nearest = scores[:-1].max()
    offset = nearest + CLOSENESS * (scores[-1] - nearest)
    narrow = (features - center.float()) @ normal.float() - offset.float()
    fits = bool(normal.isfinite().all()) and bool(narrow[-1] > 0) and bool(narrow[:-1].max() < 0)
    return Readout(center, normal, offset, scores.max() - scores.min(), fits)


def _head(model: nn.Module, images: Tensor) -> nn.Module | None:
    """The linear layer whose output are the logits, if there is one."""
    seen: list[tuple[nn.Module, Tensor]] = []
    handles = [
        module.register_forward_hook(lambda module, _, given: seen.append((module, given)))
        for module in model.modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.no_grad():
            classes = model(images[:1]).shape[1]
    finally:
        for handle in handles:
            handle.remove()
    return next((module for module, given in reversed(seen) if given.ndim == 2 and given.shape[1] == classes), None)
