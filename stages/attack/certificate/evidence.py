"""What a certificate's checks look at."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from stages.attack.certificate.active import Found
from stages.attack.certificate.probes import Outputs, Path


@dataclass(frozen=True)
class Evidence:
    """What was measured of a model on n images.

    robust: (n,) bool by the attack's name, `clean` those that are right; to_others: the same by the name of the other
    checkpoint whose adversarial images were tried; broken_by: of each image the part of AutoAttack that broke it;
    largest: size of a perturbation, and how many were measured; zero: images of those that are right whose gradient is
    0, by the loss.
    """

    epsilon: float
    classes: int
    outputs: Outputs
    differentiable: bool
    zero: Mapping[str, int]
    unstable: float
    path: Path
    active: Found
    robust: Mapping[str, Tensor]
    to_others: Mapping[str, Tensor]
    broken_by: list[str]
    largest: tuple[float, int]

    @property
    def images(self) -> int:
        """n."""
        return len(self.robust["clean"])

    @property
    def right(self) -> int:
        """How many of them are classified correctly."""
        return int(self.robust["clean"].sum())

    def left(self, attack: str) -> int:
        """How many are robust under an attack."""
        return int(self.robust[attack].sum())

    def only(self, one: str, other: str) -> int:
        """How many images one attack breaks and another does not."""
        return int((self.robust[other] & ~self.robust[one]).sum())
