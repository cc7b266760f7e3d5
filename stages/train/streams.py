"""The random streams of a run, each for one purpose, so that none hangs on how much another draws."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomStreams:
    """The random streams of a run: order of the images, augmentation, and the inner attack.

    The first two are on the CPU, where a draw can decide what is done without waiting for a GPU; the third, whose draws
    are as large as the images, is on their device.
    """

    order: torch.Generator
    augment: torch.Generator
    attack: torch.Generator

    @staticmethod
    def seeded(seed: int, device: torch.device) -> "RandomStreams":
        """Three streams that differ from each other and from other seeds'."""
        seeds = torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(seed)).tolist()
        devices = (torch.device("cpu"), torch.device("cpu"), device)
        made = [torch.Generator(device=at).manual_seed(value) for value, at in zip(seeds, devices, strict=True)]
        return RandomStreams(*made)

    def state(self) -> dict[str, Tensor]:
        """Every stream's state, to be saved."""
        return {name: getattr(self, name).get_state() for name in ("order", "augment", "attack")}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a saved state."""
        for name, value in state.items():
            getattr(self, name).set_state(value.cpu())
