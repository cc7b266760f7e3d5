"""Random numbers belong to the point: Philox as published, whoever is asked for beside it."""

import torch

from stages.attack.engine.draws import Draws, philox

# Random123's known answers for philox4x32 with 10 rounds: counter, key, words.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def test_philox_gives_the_published_words() -> None:
    for counter, key, words in KNOWN:
        c0, c1, c2, c3 = (torch.tensor([word]) for word in counter)
        assert tuple(int(word) for word in philox((c0, c1, c2, c3), key)) == words


def test_a_points_numbers_are_the_same_bits_in_any_batch_order_and_subset() -> None:
    indices = torch.arange(256) * 37
    draws = Draws(3, "apgd-ce")
    whole = draws.uniform(indices, 5, 11)
    for size in (1, 7, 256):
        assert torch.equal(torch.cat([draws.uniform(part, 5, 11) for part in indices.split(size)]), whole)
    order = torch.randperm(256, generator=torch.Generator().manual_seed(0))[:40]
    assert torch.equal(draws.uniform(indices[order], 5, 11), whole[order])
    assert torch.equal(draws.sequence(indices, 4, 3, 11)[:, 1], whole)


def test_every_part_of_the_key_changes_the_numbers_and_they_are_uniform() -> None:
    indices = torch.arange(2000)
    same = Draws(0, "square").uniform(indices, 1, 8)
    others = [
        Draws(1, "square").uniform(indices, 1, 8),
        Draws(0, "apgd-ce").uniform(indices, 1, 8),
        Draws(0, "square").uniform(indices, 2, 8),
        Draws(0, "square").uniform(indices + 2000, 1, 8),
        Draws(0, "square").uniform(indices + 2**32, 1, 8),
    ]
    for other in others:
        assert not torch.isin(same, other).all()
        assert abs(torch.corrcoef(torch.stack([same.flatten(), other.flatten()]))[0, 1]) < 0.03
    assert same.min() >= 0
    assert same.max() < 1
    counts = torch.histc(same, 16, 0, 1)
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()
