"""Laws of the batched augmentations, against torchvision on the same parameters and on the same distributions."""

import math
from collections.abc import Callable

import pytest
import torch
import torchvision.transforms.v2 as transforms
import torchvision.transforms.v2.functional as reference
from scipy.stats import ks_2samp
from torch import Generator, Tensor

from stages.core.images import augment
from tests.unit.drawing import seeded

Augmentation = Callable[[Tensor, Generator], Tensor]
STRENGTHS = (0.4, 0.4, 0.4, 0.1)
ALL: dict[str, Augmentation] = {
    "crop_flip": lambda images, generator: augment.crop_flip(images, generator, padding=4, flip=True),
    "random_resized_crop": lambda images, generator: augment.random_resized_crop(images, generator, scale=(0.2, 1.0)),
    "color_jitter": lambda images, generator: augment.color_jitter(
        images, generator, strengths=STRENGTHS, probability=0.8
    ),
    "grayscale": lambda images, generator: augment.grayscale(images, generator, probability=0.5),
    "gaussian_blur": lambda images, generator: augment.gaussian_blur(images, generator, probability=0.5),
    "horizontal_flip": lambda images, generator: augment.horizontal_flip(images, generator),
}
every_augmentation = pytest.mark.parametrize("augmentation", ALL.values(), ids=ALL)


@pytest.fixture
def images() -> Tensor:
    return torch.rand((64, 3, 16, 16), generator=seeded(1))


@every_augmentation
def test_pixels_stay_in_the_unit_range_and_the_shape_is_kept(augmentation: Augmentation) -> None:
    extreme = torch.rand((64, 3, 16, 16), generator=seeded(2)).round()
    out = augmentation(extreme, seeded())
    assert out.shape == extreme.shape
    assert out.min() >= 0
    assert out.max() <= 1


@every_augmentation
def test_equal_generator_states_give_equal_results_and_others_differ(
    augmentation: Augmentation, images: Tensor
) -> None:
    assert torch.equal(augmentation(images, seeded(5)), augmentation(images, seeded(5)))
    assert not torch.equal(augmentation(images, seeded(5)), augmentation(images, seeded(6)))


@every_augmentation
def test_copies_of_one_image_are_augmented_each_in_its_own_way(augmentation: Augmentation, images: Tensor) -> None:
    out = augmentation(images[:1].repeat(64, 1, 1, 1), seeded())
    assert len(out.flatten(1).unique(dim=0)) > 1


@every_augmentation
def test_an_images_result_does_not_depend_on_the_other_images(augmentation: Augmentation, images: Tensor) -> None:
    others = torch.rand(images.shape, generator=seeded(9))
    others[7] = images[7]
    torch.testing.assert_close(augmentation(others, seeded())[7], augmentation(images, seeded())[7])


@every_augmentation
def test_the_given_images_are_left_as_they_are(augmentation: Augmentation, images: Tensor) -> None:
    before = images.clone()
    augmentation(images, seeded())
    assert torch.equal(images, before)


@pytest.mark.parametrize("flip", [False, True])
def test_crop_flip_gives_exact_windows_of_the_zero_framed_image_all_equally_often(flip: bool) -> None:
    padding, size, count = 1, 4, 9000
    image = torch.rand((1, 3, size, size), generator=seeded(3))
    framed = torch.nn.functional.pad(image[0], (padding,) * 4)
    windows = [framed[:, row : row + size, col : col + size] for row in range(3) for col in range(3)]
    if flip:
        windows += [window.flip(2) for window in windows]
    out = augment.crop_flip(image.repeat(count, 1, 1, 1), seeded(), padding=padding, flip=flip)
    counts = torch.tensor([(out == window).flatten(1).all(dim=1).sum() for window in windows]).double()
    assert counts.sum() == count
    expected = count / len(windows)
    assert (counts - expected).abs().max() < 5 * math.sqrt(expected)


def test_crop_flip_without_padding_and_flip_is_the_identity(images: Tensor) -> None:
    assert torch.equal(augment.crop_flip(images, seeded(), padding=0, flip=False), images)


def test_horizontal_flip_mirrors_the_asked_share_of_images(images: Tensor) -> None:
    out = augment.horizontal_flip(images[:1].repeat(4000, 1, 1, 1), seeded(), probability=0.3)
    mirrored = (out == images[0].flip(2)).flatten(1).all(dim=1)
    assert ((out == images[0]).flatten(1).all(dim=1) | mirrored).all()
    assert mirrored.double().mean().item() == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_random_resized_crop_equals_torchvision_on_the_same_boxes(size: tuple[int, int]) -> None:
    images = torch.rand((64, 3, *size), generator=seeded(4))
    out = augment.random_resized_crop(images, seeded(8), scale=(0.05, 1.0))
    boxes = augment.crop_boxes(64, *size, seeded(8), scale=(0.05, 1.0))
    for image, box, result in zip(images, boxes.tolist(), out, strict=True):
        expected = reference.resized_crop(image, *box, size=list(size), antialias=True)
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [(0.2, 1.0), (0.9, 1.0)])
@pytest.mark.parametrize("size", [(32, 32), (20, 50)])
def test_crop_boxes_follow_torchvisions_distribution(size: tuple[int, int], scale: tuple[float, float]) -> None:
    ours = augment.crop_boxes(3000, *size, seeded(), scale=scale)
    image = torch.zeros(3, *size)
    torch.manual_seed(0)
    crop = transforms.RandomResizedCrop(size, scale=scale)
    drawn = [crop.make_params([image]) for _ in range(3000)]
    theirs = torch.tensor([[box[key] for key in ("top", "left", "height", "width")] for box in drawn])
    for side in range(4):
        assert ks_2samp(ours[:, side], theirs[:, side]).statistic < 0.05
    assert ks_2samp(ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3]).statistic < 0.05
    assert ks_2samp(ours[:, 3] / ours[:, 2], theirs[:, 3] / theirs[:, 2]).statistic < 0.05


def test_crop_boxes_lie_inside_the_image() -> None:
    top, left, height, width = augment.crop_boxes(5000, 9, 14, seeded(), scale=(0.01, 1.0)).unbind(1)
    assert bool(((top >= 0) & (left >= 0) & (height > 0) & (width > 0)).all())
    assert bool(((top + height <= 9) & (left + width <= 14)).all())


@pytest.mark.parametrize(
    ("ours", "theirs", "factors"),
    [
        (augment.adjust_brightness, reference.adjust_brightness, (0.0, 0.4, 1.0, 1.9)),
        (augment.adjust_contrast, reference.adjust_contrast, (0.0, 0.4, 1.0, 1.9)),
        (augment.adjust_saturation, reference.adjust_saturation, (0.0, 0.4, 1.0, 1.9)),
        (augment.adjust_hue, reference.adjust_hue, (-0.5, -0.1, 0.0, 0.3)),
    ],
)
def test_color_adjustments_equal_torchvision_on_the_same_factors(
    ours: Callable[[Tensor, Tensor], Tensor],
    theirs: Callable[[Tensor, float], Tensor],
    factors: tuple[float, ...],
    images: Tensor,
) -> None:
    batch = images[: len(factors)].clone()
    batch[:, :, 0] = batch[:, :1, 0]
    batch[:, :, 1] = batch[:, :, 1].round()
    out = ours(batch, torch.tensor(factors))
    for image, factor, result in zip(batch, factors, out, strict=True):
        torch.testing.assert_close(result, theirs(image, factor), atol=1e-5, rtol=0)


def test_color_jitter_of_strength_zero_or_probability_zero_is_the_identity(images: Tensor) -> None:
    assert torch.equal(augment.color_jitter(images, seeded(), strengths=(0, 0, 0, 0), probability=1.0), images)
    assert torch.equal(augment.color_jitter(images, seeded(), strengths=STRENGTHS, probability=0.0), images)


def test_color_jitter_changes_the_asked_share_of_images(images: Tensor) -> None:
    out = augment.color_jitter(images[:1].repeat(2000, 1, 1, 1), seeded(), strengths=STRENGTHS, probability=0.3)
    changed = (out != images[0]).flatten(1).any(dim=1)
    assert changed.double().mean().item() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(
    "strengths", [(0.4, 0, 0, 0), (0, 0.4, 0, 0), (0, 0, 0.4, 0), (0, 0, 0, 0.1), (0.4,) * 3 + (0.1,)]
)
def test_color_jitter_follows_torchvisions_distribution(strengths: tuple[float, float, float, float]) -> None:
    image = 0.2 + 0.6 * torch.rand((3, 4, 4), generator=seeded(3))
    out = augment.color_jitter(image.repeat(2500, 1, 1, 1), seeded(), strengths=strengths, probability=1.0)
    torch.manual_seed(0)
    jitter = transforms.ColorJitter(*strengths)
    theirs = torch.stack([jitter(image) for _ in range(2500)])
    for channel in range(3):
        assert ks_2samp(out[:, channel, 1, 2], theirs[:, channel, 1, 2]).statistic < 0.055


def test_luminance_equals_torchvisions_gray(images: Tensor) -> None:
    torch.testing.assert_close(augment.luminance(images), reference.rgb_to_grayscale(images), atol=1e-5, rtol=0)


def test_grayscale_makes_the_asked_share_gray_and_leaves_the_rest(images: Tensor) -> None:
    out = augment.grayscale(images[:1].repeat(4000, 1, 1, 1), seeded(), probability=0.2)
    gray = (out == out[:, :1]).flatten(1).all(dim=1)
    assert gray.double().mean().item() == pytest.approx(0.2, abs=0.03)
    assert bool((out[~gray] == images[0]).all())


def test_blur_equals_torchvision_on_the_same_sigma(images: Tensor) -> None:
    sigmas = torch.tensor([0.1, 0.5, 1.0, 2.0])
    out = augment.blur(images[:4], sigmas, radius=6)
    for image, sigma, result in zip(images, sigmas.tolist(), out, strict=False):
        expected = reference.gaussian_blur(image, kernel_size=[13, 13], sigma=[sigma, sigma])
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_blur_keeps_a_constant_image_and_narrows_its_radius_for_a_small_one() -> None:
    flat = torch.full((2, 3, 5, 5), 0.7)
    torch.testing.assert_close(augment.blur(flat, torch.tensor([0.5, 2.0]), radius=6), flat)


def test_blur_of_probability_zero_is_the_identity(images: Tensor) -> None:
    assert torch.equal(augment.gaussian_blur(images, seeded(), probability=0.0), images)
