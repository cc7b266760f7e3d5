"""Laws of MoCo's parts: the loss, the queue, the momentum update, batch norm in groups, the kNN vote."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.features.contrast import Queue, info_nce, momentum_update, shuffled_keys
from stages.features.knn import knn_accuracy
from stages.features.network import SplitBatchNorm, moco_encoder, pixel_statistics, split_batch_norm
from tests.unit.drawing import noise, seeded


def directions(count: int, dim: int, seed: int) -> Tensor:
    return F.normalize(torch.randn((count, dim), generator=seeded(seed)), dim=1)


def test_info_nce_equals_a_float64_loop() -> None:
    queries, keys, negatives = directions(5, 8, 1), directions(5, 8, 2), directions(11, 8, 3)
    losses = []
    for query, key in zip(queries.double().numpy(), keys.double().numpy(), strict=True):
        positive = math.exp(float(query @ key) / 0.1)
        others = sum(math.exp(float(query @ negative) / 0.1) for negative in negatives.double().numpy())
        losses.append(-math.log(positive / (positive + others)))
    assert info_nce(queries, keys, negatives, temperature=0.1).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_info_nce_of_equal_similarities_is_the_log_of_the_number_of_candidates() -> None:
    same = torch.ones(4, 3) / math.sqrt(3)
    assert info_nce(same, same, same[:1].repeat(9, 1), temperature=0.2).item() == pytest.approx(math.log(10))


@pytest.mark.parametrize("sizes", [(3, 3, 3), (2, 5, 4, 1), (7, 9), (6, 6, 6, 6)])
def test_queue_holds_the_newest_keys_first_in_first_out(sizes: tuple[int, ...]) -> None:
    queue = Queue(7, 2, seeded(), torch.device("cpu"))
    arrived = list(queue.keys.clone())
    for seed, size in enumerate(sizes):
        keys = directions(size, 2, 10 + seed)
        queue.push(keys)
        arrived.extend(keys)
        oldest_first = queue.keys.roll(-queue.pointer, dims=0)
        assert torch.equal(oldest_first, torch.stack(arrived[-7:]))


def test_queue_begins_with_directions_of_length_one_and_keeps_no_gradient() -> None:
    queue = Queue(6, 4, seeded(), torch.device("cpu"))
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(6))
    queue.push(directions(3, 4, 1).requires_grad_())
    assert not queue.keys.requires_grad


def test_key_encoder_follows_by_the_momentum_formula_and_keeps_its_own_statistics() -> None:
    fast, slow = (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)) for _ in range(2))
    fast(torch.rand(8, 3, 6, 6))
    before = {name: value.clone() for name, value in slow.state_dict().items()}
    momentum_update(slow, fast, momentum=0.9)
    parameters = dict(fast.named_parameters())
    for name, value in slow.state_dict().items():
        expected = 0.9 * before[name] + 0.1 * parameters[name] if name in parameters else before[name]
        torch.testing.assert_close(value, expected)


def test_split_batch_norm_of_one_group_is_plain_batch_norm() -> None:
    x = torch.randn((8, 5, 3, 3), generator=seeded())
    plain, split = nn.BatchNorm2d(5), SplitBatchNorm(5, 1)
    assert torch.equal(plain(x), split(x))
    assert torch.equal(plain.state_dict()["running_var"], split.state_dict()["running_var"])


def test_split_batch_norm_normalizes_its_groups_apart_and_averages_their_statistics() -> None:
    x = torch.randn((12, 5, 3, 3), generator=seeded())
    split = SplitBatchNorm(5, 4)
    nn.init.uniform_(split.weight)
    nn.init.uniform_(split.bias)
    out = split(x)
    alone = []
    for group in range(4):
        plain = nn.BatchNorm2d(5)
        plain.load_state_dict(split.state_dict())
        plain.reset_running_stats()
        torch.testing.assert_close(out[group::4], plain(x[group::4]))
        alone.append(plain.state_dict())
    torch.testing.assert_close(split.running_mean, torch.stack([one["running_mean"] for one in alone]).mean(dim=0))
    torch.testing.assert_close(split.running_var, torch.stack([one["running_var"] for one in alone]).mean(dim=0))


def test_split_batch_norm_in_eval_mode_is_plain_batch_norm_in_eval_mode() -> None:
    x = torch.randn((6, 5, 3, 3), generator=seeded())
    split, plain = SplitBatchNorm(5, 3), nn.BatchNorm2d(5)
    split(x)
    plain.load_state_dict(split.state_dict())
    assert torch.equal(split.eval()(x), plain.eval()(x))


def test_splitting_an_encoder_replaces_every_batch_norm_and_changes_nothing_in_eval_mode() -> None:
    encoder = moco_encoder(backbone="resnet18", width=4, dim=8, head_layers=2)
    images = torch.rand((8, 3, 8, 8), generator=seeded())
    encoder(images)
    expected = encoder.eval()(images)
    names = list(encoder.state_dict())
    split_batch_norm(encoder, 4)
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(isinstance(module, SplitBatchNorm) and module.splits == 4 for module in norms)
    assert list(encoder.state_dict()) == names
    assert torch.equal(encoder.eval()(images), expected)


def test_shuffled_keys_come_back_in_order_but_are_normalized_in_other_groups() -> None:
    encoder = moco_encoder(backbone="resnet18", width=4, dim=8, head_layers=1)
    split_batch_norm(encoder, 4)
    images = torch.rand((16, 3, 8, 8), generator=seeded())
    encoder.train()
    assert not torch.allclose(shuffled_keys(encoder, images, seeded()), encoder(images), atol=1e-3)
    encoder.eval()
    torch.testing.assert_close(shuffled_keys(encoder, images, seeded()), encoder(images))


@pytest.mark.parametrize("head_layers", [1, 2])
def test_encoder_gives_directions_of_length_one_and_its_normalization_undoes_the_pixels_statistics(
    head_layers: int,
) -> None:
    encoder = moco_encoder(backbone="resnet18", width=4, dim=8, head_layers=head_layers).eval()
    images = torch.rand((3, 3, 8, 8), generator=seeded())
    out = encoder(images)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(3))
    encoder.mean.fill_(0.25)
    encoder.std.fill_(2.0)
    torch.testing.assert_close(encoder(images * 2.0 + 0.25), out)
    assert sum(isinstance(layer, nn.Linear) for layer in encoder.head.children()) == head_layers


def test_pixel_statistics_are_the_mean_and_std_of_all_pixels_on_the_unit_scale() -> None:
    images = noise(7, side=5)
    mean, std = pixel_statistics(images)
    unit = images.double().numpy() / 255
    np.testing.assert_allclose(mean, unit.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(std, unit.std(axis=(0, 2, 3)))
    assert (pixel_statistics(torch.full((2, 3, 4, 4), 9, dtype=torch.uint8))[1] > 0).all()


def test_knn_accuracy_equals_a_loop_over_queries() -> None:
    bank, queries = directions(40, 6, 1), directions(300, 6, 2)
    bank_labels = torch.randint(0, 4, (40,), generator=seeded(3))
    labels = torch.randint(0, 4, (300,), generator=seeded(4))
    right = 0
    for query, label in zip(queries.double().numpy(), labels.tolist(), strict=True):
        similarity = bank.double().numpy() @ query
        votes = np.zeros(4)
        for neighbor in np.argsort(-similarity)[:9]:
            votes[bank_labels[neighbor]] += math.exp(similarity[neighbor] / 0.3)
        right += int(votes.argmax() == label)
    measured = knn_accuracy(bank, bank_labels, queries, labels, neighbors=9, temperature=0.3)
    assert measured == pytest.approx(right / 300)


def test_knn_accuracy_of_the_bank_itself_by_its_nearest_is_one() -> None:
    bank, labels = directions(30, 6, 1), torch.arange(30) % 3
    assert knn_accuracy(bank, labels, bank, labels, neighbors=1, temperature=0.1) == 1.0
    assert knn_accuracy(bank, labels, bank, labels, neighbors=999, temperature=0.01) == 1.0
