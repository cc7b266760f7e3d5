"""The attacks that a certificate rests on, all on the same test images: who is robust under which."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from stages.attack.evaluate import Trial, evaluate
from stages.attack.margin import margin
from stages.attack.state import AttackState, Finished
from stages.core.artifacts import ImageSet
from stages.core.config.attacks import Attack
from stages.core.images.perturb import perturb
from stages.core.images.pixels import to_unit
from stages.core.images.search import Search
from stages.core.images.subset import measured_images
from stages.core.images.threat import Threat
from stages.core.job.progress import log_line

BATCH = 256
STEPS = 20
STEPS_ACROSS = 4  # from the middle of the ball to its rim
MORE_STEPS, RESTARTS = 100, 2
RADII = (0.5, 2.0, 4.0)  # in units of epsilon
WHOLE_BOX = 0.999  # a radius that bounds next to nothing
SCALES = {"x0.1": (0.1, 0.0), "x10": (10.0, 0.0), "x100": (100.0, 0.0), "+10": (1.0, 10.0)}
USUAL_LEAD = 1.0  # that the median image's logits are scaled to


class Scaled(nn.Module):
    """A model whose logits are scaled and shifted: the same classifier."""

    def __init__(self, model: nn.Module, scale: float, shift: float = 0.0) -> None:
        super().__init__()
        self.model, self.scale, self.shift = model, scale, shift

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K)."""
        return self.model(images) * self.scale + self.shift


@dataclass
class Battery:
    """A model in eval mode and the test images that it is certified on, under L-infinity.

    finished, save_if_due: what an earlier attempt did, and where to save in between.
    """

    model: nn.Module
    test: ImageSet
    count: int
    epsilon: float
    seed: int
    device: torch.device
    finished: AttackState = field(default_factory=AttackState)
    save_if_due: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.indices = measured_images(self.test.labels, self.count, "stratified")
        self.images = to_unit(self.test.images[self.indices].to(self.device))
        self.labels = self.test.labels[self.indices].to(self.device)
        self.threat = Threat("linf", self.epsilon)

    def generator(self, offset: int = 0) -> torch.Generator:
        """For what is drawn beside the attacks."""
        return torch.Generator().manual_seed(self.seed + offset)

    def attack(self, kind: str, epsilon: float | None = None, **options: float) -> Attack:
        """An attack of a kind on these images."""
        radius = self.epsilon if epsilon is None else epsilon
        return Attack(kind=kind, epsilon=radius, images=self.count, options=options)

    def search(self, kind: str, epsilon: float | None = None, steps: int = STEPS, **options: float) -> Attack:
        """PGD of a kind, its steps in proportion to the radius."""
        radius = self.epsilon if epsilon is None else epsilon
        return self.attack(kind, radius, steps=steps, step_size=(radius or self.epsilon) / STEPS_ACROSS, **options)

    def robust(
        self,
        name: str,
        attack: Attack,
        model: nn.Module | None = None,
        among: Tensor | None = None,
        starts_of: str = "",
    ) -> Tensor:
        """(n,) bool: the images that are classified correctly, clean and attacked.

        among (n,): the others are not tried, and not robust. starts_of: the attack whose random starts it has.
        """
        finished = self.finished.attacks.setdefault(name, Finished())
        skipped = None if among is None else self.indices[~among]
        found = torch.zeros(len(self.indices), dtype=torch.bool)
        if among is not None and not bool(among.any()):
            return found
        subject = self.model if model is None else model
        trial = Trial(subject, starts_of or name, attack, self.test, self.seed, self.device)
        table, facts = evaluate(trial, finished, self.save_if_due, skipped)
        tried = torch.from_numpy(table["index"].to_numpy().copy())
        found[torch.isin(self.indices, tried)] = torch.from_numpy(table["robust"].to_numpy(zero_copy_only=False).copy())
        log_line(f"certificate: {name}: {int(found.sum())} of {len(found)} robust, {facts['seconds']:.1f} s")
        return found

    def largest(self) -> tuple[float, int]:
        """The largest perturbation of the attacks at the radius, and of how many images it is."""
        sizes = torch.cat(
            [
                verdicts.linf
                for name, finished in self.finished.attacks.items()
                if " at " not in name
                for verdicts in (*finished.batches.values(), finished.whole.verdicts)
                if verdicts is not None
            ]
        )
        return float(sizes.max()), len(sizes)

    def transferred(self, source: nn.Module) -> Tensor:
        """(n, C, H, W) adversarial images for another model, by PGD on its margin; the same starts for all."""
        generator, search = self.generator(), Search(self.epsilon / STEPS_ACROSS, STEPS)
        found = []
        for images, labels in zip(self.images.split(BATCH), self.labels.split(BATCH), strict=True):
            loss = partial(margin, labels=labels)
            found.append(perturb(source, images, loss, self.threat, search, generator))
        return torch.cat(found)


def attacks(battery: Battery, lead: float) -> dict[str, Tensor]:
    """Who is robust under each attack but AutoAttack, (n,) bool by its name; lead: of the median image's logits."""
    model, search = battery.model, battery.search
    found = {
        "clean": battery.robust("clean", Attack(kind="clean", images=battery.count)),
        "zero": battery.robust("zero", search("margin_pgd", 0.0)),
        "noise": battery.robust("noise", battery.attack("random-noise")),
        "fgsm": battery.robust("fgsm", battery.attack("fgsm")),
        "pgd": battery.robust("pgd", search("pgd")),
        "margin": battery.robust("margin", search("margin_pgd")),
    }
    more = search("margin_pgd", steps=MORE_STEPS, restarts=RESTARTS)
    found["more"] = battery.robust("more", more, among=found["margin"])
    usual = Scaled(model, USUAL_LEAD / lead)
    found["pgd rescaled"] = battery.robust("pgd rescaled", search("pgd"), usual, starts_of="pgd")
    for name, (scale, shift) in SCALES.items():
        scaled = Scaled(model, scale, shift)
        found[f"margin {name}"] = battery.robust(f"margin {name}", search("margin_pgd"), scaled, starts_of="margin")
    for radius in radii(battery.epsilon):
        name = f"margin at {radius:.4g}"
        found[name] = battery.robust(
            name, search("margin_pgd", radius, steps=MORE_STEPS if radius == WHOLE_BOX else STEPS)
        )
    return found


def autoattack(battery: Battery) -> tuple[Tensor, list[str]]:
    """Who is robust under the engine's AutoAttack, (n,) bool, and of each image what of it broke it ("": nothing)."""
    robust = battery.robust("aa", battery.attack("autoattack-engine"))
    return robust, battery.finished.attacks["aa"].whole.broken_by


def radii(epsilon: float) -> Sequence[float]:
    """Those of the curve besides epsilon itself, ascending; the last bounds nothing."""
    return (*(radius for share in RADII if (radius := share * epsilon) < WHOLE_BOX), WHOLE_BOX)


def robust_to_others(battery: Battery, others: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """(n,) bool by the other model's name: who is classified correctly, clean and on that one's adversarial images."""
    clean = _right(battery.model, battery.images, battery.labels)
    return {
        name: clean & _right(battery.model, battery.transferred(other), battery.labels)
        for name, other in others.items()
    }


def _right(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        logits = torch.cat([model(part) for part in images.split(BATCH)])
    return (logits.argmax(dim=1) == labels).cpu()
