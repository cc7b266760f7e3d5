"""Random numbers that belong to a point: a counter-based generator, Philox-4x32-10 (Salmon et al., 2011).

A number is a function of (seed, attack, image index, draw, place) and of nothing else, so it is the same to the bit
for any batch size, order, subset and device. Words of 32 bits are held in int64, whose products wrap around as unsigned
ones do; the upper half of a product of two words is its bits 32 to 63.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from stages.core.files import digest

ROUNDS = 10
_WORD = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_WORDS_A_BLOCK = 4
_FRACTION_BITS = 24  # what a float32 in [0, 1) holds exactly


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Four random words of 32 bits for each counter of four words; int64 tensors that broadcast together."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c2 = (second >> 32) & _WORD ^ c1 ^ k0, (first >> 32) & _WORD ^ c3 ^ k1
        c1, c3 = second & _WORD, first & _WORD
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return c0, c1, c2, c3


@dataclass(frozen=True)
class Draws:
    """The random numbers of one attack under one seed. attack: its name."""

    seed: int
    attack: str

    @property
    def key(self) -> tuple[int, int]:
        """Philox's key: 64 bits of a digest of seed and attack."""
        bits = int(digest([self.seed, self.attack], length=16), 16)
        return bits & _WORD, bits >> 32

    def uniform(self, indices: Tensor, draw: int | Tensor, count: int) -> Tensor:
        """(n, count) float32 in [0, 1), multiples of 2^-24, for points of these `indices` (n,) at draw `draw`.

        draw: one for all, or (n, 1).
        """
        return self.sequence(indices, draw, 1, count)[:, 0]

    def sequence(self, indices: Tensor, first: int | Tensor, draws: int, count: int) -> Tensor:
        """(n, draws, count): what `uniform` gives for the draws from `first` on, made at once."""
        blocks = -(-count // _WORDS_A_BLOCK)
        place = torch.arange(blocks, device=indices.device).view(1, 1, -1)
        draw = (torch.arange(draws, device=indices.device) + first).unsqueeze(-1)
        index = indices.view(-1, 1, 1)
        words = torch.stack(
            torch.broadcast_tensors(*philox((place, draw, index & _WORD, index >> 32), self.key)), dim=-1
        )
        fractions = (words >> (32 - _FRACTION_BITS)).float() * 2.0**-_FRACTION_BITS
        return fractions.flatten(2)[:, :, :count]
