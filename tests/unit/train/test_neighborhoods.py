"""Neighborhood batches: a partition into clusters, each image forwarded once a batch, and Q_x still that of Eq. 3."""

import random

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from stages.core.config.method import Lsp, Method
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.train import loop
from stages.train.batch import Augmented, Context, Targets
from stages.train.clusters import grow
from stages.train.compose import Neighborhood, method_loss
from stages.train.sharing import share
from stages.train.streams import RandomStreams
from tests.unit.drawing import seeded
from tests.unit.train.small_training import CLASSES, IMAGES, M, companions, inputs, picture_set, settings

HOODS = {"batches": "neighborhoods", "m": M}


def graph(images: int, m: int, seed: int) -> Tensor:
    """m companions of each image, near it on a ring, so that there is something to share."""
    draw = random.Random(seed)
    return torch.tensor([[(at + step) % images for step in draw.sample(range(1, 2 * m), m)] for at in range(images)])


@pytest.mark.parametrize("size", [1, 4, 7])
@pytest.mark.parametrize("seed", range(3))
def test_clusters_are_a_partition_and_each_grows_by_what_adds_least(size: int, seed: int) -> None:
    near = graph(60, 4, seed)
    clusters = [cluster.tolist() for cluster in grow(near, size, seeded(seed))]
    assert sorted(image for cluster in clusters for image in cluster) == list(range(60))
    assert max(len(cluster) for cluster in clusters) == size
    left = set(range(60))
    for cluster in clusters:
        union: set[int] = set()
        for place, image in enumerate(cluster):
            added = {other: len({other, *near[other].tolist()} - union) for other in left}
            touching = {other: new for other, new in added.items() if new <= near.shape[1]}
            assert place == 0 or added[image] == min(touching.values())
            union |= {image, *near[image].tolist()}
            left.remove(image)
        assert len(cluster) == size or not any({other, *near[other].tolist()} & union for other in left)


@pytest.mark.parametrize("anchors_too", [False, True])
def test_every_place_is_the_companion_s_and_no_image_is_forwarded_twice(anchors_too: bool) -> None:
    near, order = graph(50, 4, 0), torch.randperm(50, generator=seeded(1))
    for anchors, shared in zip(order.split(16), share(order, near, 16, anchors_too=anchors_too), strict=True):
        assert torch.equal(torch.cat([anchors, shared.ids])[shared.places], near[anchors])
        assert len(shared.ids.unique()) == len(shared.ids)
        wanted = set(near[anchors].flatten().tolist())
        assert set(shared.ids.tolist()) == (wanted - set(anchors.tolist()) if anchors_too else wanted)
        assert anchors_too or int(shared.places.min()) >= len(anchors)


@pytest.mark.parametrize("objective", ["ce", "trades"])
def test_the_loss_and_its_gradient_are_those_of_neighbors_forwarded_one_by_one(objective: str) -> None:
    near, images = graph(30, 3, 0), torch.rand(30, 3, 2, 2, generator=seeded(1), dtype=torch.float64)
    anchors = torch.arange(4, 16)
    structure = torch.rand(len(anchors), 3, generator=seeded(2), dtype=torch.float64).softmax(1)
    method = Method.model_validate({"objective": objective, "lsp": {"m": 3}})
    (shared,) = share(anchors, near, len(anchors), anchors_too=objective == "ce")
    found = []
    for hood in (
        Neighborhood(images[near[anchors].flatten()], structure),
        Neighborhood(images[shared.ids], structure, shared.places),
    ):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, CLASSES)).double()
        context = Context(Threat("linf", 0.1), Search(0.05, 2), seeded(3))
        loss, _ = method_loss(model, Augmented(images[anchors], Targets(anchors % CLASSES)), hood, method, context)
        loss.backward()
        found.append((loss.detach(), [parameter.grad for parameter in model.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("selection", ["last", "best_robust"])
@pytest.mark.parametrize("objective", ["ce", "at"])
def test_an_epoch_trains_on_every_anchor_once_and_forwards_fewer_images(objective: str, selection: str) -> None:
    chosen = settings({"objective": objective, "lsp": HOODS}, selection=selection)
    held_out = loop.held_out_mask(IMAGES, chosen.method.held_out(chosen.recipe))
    bank = loop._bank(chosen, inputs(companions(~held_out)), held_out)
    streams = RandomStreams.seeded(0, torch.device("cpu"))
    first, second = bank.order(streams), bank.order(streams)
    assert first.tolist() != second.tolist()
    assert sorted(first.tolist()) == sorted(second.tolist()) == (~held_out).nonzero().flatten().tolist()
    hoods = [
        bank.batch(ids, streams, shared)[1] for ids, shared in zip(first.split(16), bank.shared(first, 16), strict=True)
    ]
    assert sum(len(hood.images) for hood in hoods if hood) < M * len(first)
    assert bank.sharing == ("batch" if objective == "ce" else "neighbors")


def test_an_in_batch_neighbor_is_the_anchor_s_own_view() -> None:
    """What is forwarded is [anchors, extras], so the view that a place names is the one that was augmented."""
    chosen = settings({"lsp": HOODS})
    structure, images = companions(torch.ones(IMAGES, dtype=torch.bool)), picture_set(IMAGES, 0)
    bank = loop._bank(chosen, inputs(structure), torch.zeros(IMAGES, dtype=torch.bool))
    streams = RandomStreams.seeded(0, torch.device("cpu"))
    order = bank.order(streams)
    for ids, shared in zip(order.split(16), bank.shared(order, 16), strict=True):
        augmented, hood = bank.batch(ids, streams, shared)
        assert hood is not None
        assert hood.places is not None
        shown = torch.cat([augmented.images, hood.images])[hood.places]
        for row, companion in zip(shown.flatten(0, 1), structure.companions[ids].flatten(), strict=True):
            assert {round(float(pixel) * 255) for pixel in row.unique()} <= {
                0,
                *images.images[companion].unique().tolist(),
            }


@pytest.mark.parametrize(
    ("precision", "augmented", "sharing"),
    [
        ("exact", False, "none"),
        ("float32", False, "neighbors"),
        ("bfloat16", False, "neighbors"),
        ("float32", True, "none"),
    ],
)
def test_an_unaugmented_neighbor_of_two_anchors_is_forwarded_once_but_where_bits_must_stay(
    precision: str, augmented: bool, sharing: str
) -> None:
    chosen = settings({"lsp": {"m": M, "augment_neighbors": augmented}}, precision=precision)
    nothing = torch.zeros(IMAGES, dtype=torch.bool)
    bank = loop._bank(chosen, inputs(companions(~nothing)), nothing)
    assert bank.sharing == sharing
    assert bank.clusters is None


@pytest.mark.parametrize(
    ("lsp", "said"),
    [({"kind": "global"}, "random companions"), ({"augment_neighbors": False}, "write augment_neighbors: true")],
)
def test_what_makes_no_clusters_is_refused(lsp: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Lsp.model_validate({"batches": "neighborhoods", **lsp})


def test_random_batches_keep_the_names_of_earlier_runs() -> None:
    assert "batches" not in Lsp().identity()
    assert Lsp(batches="neighborhoods").identity()["batches"] == "neighborhoods"
