"""What a run draws its batches from, and what is measured at an epoch's end, against loops and counts."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from stages.core.artifacts import ImageSet, Structure
from stages.core.config.data import Augment
from stages.core.config.method import Method
from stages.core.images.pixels import to_unit
from stages.core.images.search import Search
from stages.core.images.threat import Threat
from stages.train.batch import Augmented
from stages.train.compose import Neighborhood
from stages.train.measure import measure_accuracy, measure_lsp_loss
from stages.train.streams import RandomStreams
from stages.train.training_set import TrainingSet
from tests.unit.train.small_training import CLASSES, IMAGES, M, fresh_net, numbers, picture_set


def companions() -> Structure:
    """The next M images are each image's companions."""
    ids = (torch.arange(IMAGES).unsqueeze(1) + torch.arange(1, M + 1)) % IMAGES
    return Structure(ids, torch.rand(IMAGES, M, generator=torch.Generator().manual_seed(2)).softmax(1))


def batches(bank: TrainingSet, streams: RandomStreams) -> list[tuple[Augmented, Neighborhood | None]]:
    """One epoch in batches of 16."""
    order = bank.order(streams)
    return [bank.batch(order[step * 16 : (step + 1) * 16], streams) for step in range(bank.steps(16))]


def test_the_measured_lsp_loss_is_equation_4_in_eval_mode_on_un_augmented_images() -> None:
    model, images = fresh_net().train(), picture_set(IMAGES, 0).images
    structure, anchors = companions(), torch.arange(0, IMAGES, 3)
    found = measure_lsp_loss(model, images, anchors, structure)
    assert model.training
    with torch.no_grad():
        logits = model.eval()(to_unit(images)).double().numpy()
    gaps = []
    for anchor in anchors.tolist():
        ids, p = structure.companions[anchor].numpy(), structure.vectors[anchor].double().numpy()
        distances = np.linalg.norm(logits[ids] - logits[anchor], axis=1)
        gaps.append(((p - distances / distances.sum()) ** 2).sum())
    assert found == pytest.approx(np.mean(gaps), rel=1e-4)


def linear(images: ImageSet) -> nn.Module:
    """A net whose prediction hangs on the pixels, as a fresh one's hardly does."""
    head = nn.Linear(images.images[0].numel(), CLASSES, bias=False)
    head.weight.data = torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(3))
    head.weight.data -= head.weight.data.mean(dim=1, keepdim=True)
    return nn.Sequential(nn.Flatten(), head)


def test_accuracies_are_counts_and_an_attack_of_size_zero_costs_nothing() -> None:
    images = picture_set(30, 3)
    model = linear(images)
    threat = Threat("linf", 0.0)
    with torch.no_grad():
        right = (model.eval()(to_unit(images.images)).argmax(1) == images.labels).float().mean()
    found = measure_accuracy(model, images.images, images.labels, threat, Search(0.1, 2), 0)
    assert found.clean == found.robust == pytest.approx(float(right))
    assert 0.1 < found.clean < 0.9
    strong = Threat("linf", 1.0)
    assert measure_accuracy(model, images.images, images.labels, strong, Search(0.3, 10), 0).robust == 0


def test_what_is_attacked_in_the_models_place_has_no_say_in_what_is_right() -> None:
    images = picture_set(30, 3)
    model = linear(images)
    given = images.images, images.labels, Threat("linf", 0.2), Search(0.1, 10), 0
    found = measure_accuracy(model, *given)
    assert measure_accuracy(model, *given, copy.deepcopy(model)) == found
    flat = copy.deepcopy(model)
    for parameter in flat.parameters():
        parameter.data.zero_()
    aimless = measure_accuracy(model, *given, flat)
    assert aimless.clean == found.clean
    assert found.robust < aimless.robust <= aimless.clean


def test_measuring_changes_no_weight_mode_gradient_or_random_stream() -> None:
    """Therefore a measurement that is cut off may be made again."""
    model, images = fresh_net().train(), picture_set(30, 3)
    model.head.eval()  # type: ignore[union-attr]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes, stream = [module.training for module in model.modules()], torch.get_rng_state()
    for _ in range(2):
        measure_accuracy(model, images.images, images.labels, Threat("linf", 0.1), Search(0.05, 2), 0)
        measure_lsp_loss(model, picture_set(IMAGES, 0).images, torch.arange(9), companions())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), stream)


@pytest.mark.parametrize("augmented", [False, True])
def test_neighbors_are_augmented_only_if_that_is_on_and_keep_their_order(augmented: bool) -> None:
    method = Method.model_validate({"lsp": {"m": M, "augment_neighbors": augmented}})
    structure, images = companions(), picture_set(IMAGES, 0)
    own_rows = {tuple(row.tolist()): index for index, row in enumerate(structure.vectors)}
    bank = TrainingSet(images.images, images.labels, torch.arange(IMAGES), structure, Augment(padding=1), method)
    same = []
    for _, hood in batches(bank, RandomStreams.seeded(0, torch.device("cpu"))):
        assert hood is not None
        ids = torch.tensor([own_rows[tuple(row.tolist())] for row in hood.structure])
        expected = to_unit(images.images[structure.companions[ids].flatten()])
        same.extend((hood.images == expected).flatten(1).all(1).tolist())
    assert all(same) != augmented
    assert sum(same) < len(same) / 2 or not augmented


@pytest.mark.parametrize(("count", "steps"), [(32, 2), (33, 2), (34, 3), (16, 1), (1, 0)])
def test_an_epoch_sees_every_image_once_but_for_a_last_one_alone(count: int, steps: int) -> None:
    images = picture_set(count, 0)
    plain = Augment(padding=0, flip=False)
    bank = TrainingSet(images.images, images.labels, torch.arange(count), None, plain, Method())
    streams = RandomStreams.seeded(0, torch.device("cpu"))
    orders = []
    for _ in range(2):
        epoch = [augmented for augmented, _ in batches(bank, streams)]
        assert len(epoch) == steps
        seen = [number for batch in epoch for image in batch.images for number in numbers(image[None], images)]
        labels = [label for batch in epoch for label in batch.targets.first.tolist()]
        assert labels == [number % CLASSES for number in seen]
        assert len(set(seen)) == len(seen) == count - (count % 16 == 1)
        orders.append(seen)
    assert orders[0] != orders[1] or count == 1


def test_streams_differ_from_each_other_and_between_seeds_and_go_on_where_they_were_saved() -> None:
    device = torch.device("cpu")

    def draws(streams: RandomStreams) -> list[list[float]]:
        return [torch.rand(4, generator=each).tolist() for each in (streams.order, streams.augment, streams.attack)]

    first, other = draws(RandomStreams.seeded(0, device)), draws(RandomStreams.seeded(1, device))
    assert len({tuple(draw) for draw in first + other}) == 6
    assert draws(RandomStreams.seeded(0, device)) == first
    streams, later = RandomStreams.seeded(0, device), RandomStreams.seeded(7, device)
    draws(streams)
    later.restore(streams.state())
    assert draws(later) == draws(streams)
