"""Mixing augmentations: labels follow pixels, draws follow their distributions, AugMix's operations are Pillow's."""

import inspect
import math

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image, ImageOps
from scipy import special, stats
from torch import Tensor

from stages.core.config.plugins import Plugin, known, resolve
from stages.train.augmentations import _augmix_ops as ops
from stages.train.augmentations._draws import beta, dirichlet, uniform, whole
from stages.train.augmentations.augmix import augmix, jensen_shannon, mixed_views
from stages.train.augmentations.cutmix import cutmix, random_box
from stages.train.augmentations.mixup import mixup
from stages.train.augmentations.none import none
from tests.unit.drawing import seeded

BILINEAR = TF.InterpolationMode.BILINEAR


def constant_images(batch: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Image i is i / batch all over, its label i."""
    labels = torch.arange(batch)
    return (labels / batch).view(-1, 1, 1, 1).expand(batch, 3, height, width).clone(), labels


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """uint8 (12, 3, 20, 26): noise, noise of a narrow range, smooth pictures, and one of a single level a channel."""
    noise = torch.randint(0, 256, (8, 3, 20, 26), generator=seeded(1))
    noise[4:] = noise[4:] // 3 + 60
    coarse = torch.rand(4, 3, 4, 4, generator=seeded(2))
    smooth = torch.nn.functional.interpolate(coarse, size=(20, 26), mode="bilinear").mul(255).long()
    smooth[3] = torch.tensor([0, 99, 255]).view(3, 1, 1)
    return torch.cat([noise, smooth]).to(torch.uint8)


def by_pillow(images: Tensor, operation: object) -> Tensor:
    """Each image through a Pillow function of an image."""
    return torch.stack([TF.pil_to_tensor(operation(TF.to_pil_image(image))) for image in images])  # type: ignore[operator]


def levels_apart(first: Tensor, second: Tensor) -> int:
    return int((first.int() - second.int()).abs().max())


@pytest.mark.parametrize("name", ["none", "mixup", "cutmix", "augmix"])
def test_settings_read_from_the_source_are_the_functions_own(name: str) -> None:
    function = {"none": none, "mixup": mixup, "cutmix": cutmix, "augmix": augmix}[name]
    parameters = inspect.signature(function).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
    settings = resolve("augmentations", Plugin(name=name)).settings
    assert settings == defaults
    assert {key: type(value) for key, value in settings.items()} == {key: type(v) for key, v in defaults.items()}
    assert name in known("augmentations")


def test_none_gives_back_the_very_images_and_draws_nothing() -> None:
    images, labels = constant_images(4, 6, 6)
    generator = seeded()
    before = generator.get_state()
    augmented = none(images, labels, generator)
    assert augmented.images is images
    assert augmented.targets.first is labels
    assert augmented.targets.second is None
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("augmentation", [mixup, cutmix, augmix])
def test_the_same_stream_repeats_a_batch_and_the_images_given_stay_as_they_are(augmentation: object) -> None:
    images = torch.rand(6, 3, 9, 9, generator=seeded(3))
    labels, before = torch.arange(6), images.clone()
    first, again, other = (augmentation(images, labels, seeded(seed)) for seed in (1, 1, 2))  # type: ignore[operator]
    assert torch.equal(first.images, again.images)
    assert first.targets.weight == again.targets.weight
    assert all(torch.equal(one, two) for one, two in zip(first.views, again.views, strict=True))
    assert not torch.equal(torch.cat([first.images, *first.views]), torch.cat([other.images, *other.views]))
    assert torch.equal(images, before)


def test_mixup_is_the_convex_mix_that_its_targets_say() -> None:
    images = torch.rand(16, 3, 8, 8, generator=seeded(4))
    labels = torch.arange(16)
    for seed in range(20):
        augmented = mixup(images, labels, seeded(seed), alpha=0.4)
        targets = augmented.targets
        assert targets.second is not None
        other = images[targets.second]
        assert 0 <= targets.weight <= 1
        expected = targets.weight * images.double() + (1 - targets.weight) * other.double()
        assert torch.allclose(augmented.images.double(), expected, rtol=0, atol=1e-6)
        assert bool((augmented.images >= torch.minimum(images, other)).all())
        assert bool((augmented.images <= torch.maximum(images, other)).all())
        assert sorted(targets.second.tolist()) == labels.tolist()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (7, 13)])
def test_cutmix_labels_weigh_exactly_the_pixels_left_of_each_image(height: int, width: int) -> None:
    images, labels = constant_images(8, height, width)
    for seed in range(40):
        augmented = cutmix(images, labels, seeded(seed))
        targets = augmented.targets
        assert targets.second is not None
        for image, own, pasted in zip(augmented.images, targets.first, targets.second, strict=True):
            kept = int((image[0] == own / 8).sum())
            assert int((image[0] == pasted / 8).sum()) == (height * width if own == pasted else height * width - kept)
            assert own == pasted or targets.weight == kept / (height * width)


def test_a_cutmix_box_keeps_to_the_drawn_ratio_and_reaches_every_edge() -> None:
    generator, starts, stops = seeded(5), [], []
    for kept in torch.rand(200, generator=generator).tolist():
        for part, size in zip(random_box(31, 44, kept, generator), (31, 44), strict=True):
            assert part.stop - part.start <= size * math.sqrt(1 - kept)
            starts.append(part.start)
            stops.append(part.stop - size)
    assert (min(starts), max(stops)) == (0, 0)


def test_cutmix_mixes_the_share_of_batches_that_probability_says() -> None:
    images, labels = constant_images(2, 4, 4)
    generator = seeded(6)
    mixed = sum(cutmix(images, labels, generator, probability=0.3).targets.second is not None for _ in range(1000))
    assert stats.binomtest(mixed, 1000, 0.3).pvalue > 1e-3
    assert cutmix(images, labels, generator, probability=0.0).images is images
    assert all(cutmix(images, labels, generator).targets.second is not None for _ in range(50))


@pytest.mark.parametrize(("alpha", "parts"), [(0.2, 2), (1.0, 2), (4.0, 2), (1.0, 3)])
def test_dirichlet_draws_sum_to_one_and_have_beta_margins(alpha: float, parts: int) -> None:
    drawn = dirichlet(4000, parts, alpha, seeded(8))
    assert torch.allclose(drawn.sum(dim=1), torch.ones(4000, dtype=torch.float64), rtol=0, atol=1e-12)
    margin = stats.uniform() if (alpha, parts) == (1, 2) else stats.beta(alpha, (parts - 1) * alpha)
    assert all(stats.kstest(drawn[:, part].numpy(), margin.cdf).pvalue > 1e-3 for part in range(parts))
    assert torch.equal(beta(4000, alpha, seeded(8)), dirichlet(4000, 2, alpha, seeded(8))[:, 0])


OUT_OF_RANGE = [("mixup", "alpha", 0), ("cutmix", "alpha", 0), ("cutmix", "probability", 1.5), ("augmix", "width", 0)]


@pytest.mark.parametrize(
    ("name", "setting", "value"), [*OUT_OF_RANGE, ("augmix", "severity", 0.0), ("augmix", "severity", 11)]
)
def test_settings_out_of_range_are_refused_in_one_line(name: str, setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{setting}: .*given: ") as caught:
        resolve("augmentations", Plugin(name=name, settings={setting: value}))
    assert "\n" not in str(caught.value)


def test_autocontrast_is_the_whole_number_stretch_within_a_level_of_the_references(pictures: Tensor) -> None:
    ours = ops.look_up(pictures, ops.autocontrast_tables(pictures))
    for image, stretched in zip(pictures.flatten(0, 1).long(), ours.flatten(0, 1), strict=True):
        low, high = int(image.min()), int(image.max())
        expected = image if low == high else (image - low) * 255 // (high - low)
        assert torch.equal(stretched.long(), expected)
    assert levels_apart(ours, torch.stack([TF.autocontrast(image) for image in pictures])) <= 1
    assert levels_apart(ours, by_pillow(pictures, ImageOps.autocontrast)) <= 1


def test_equalize_is_pillows_and_torchvisions(pictures: Tensor) -> None:
    ours = ops.look_up(pictures, ops.equalize_tables(pictures))
    assert torch.equal(ours, torch.stack([TF.equalize(image) for image in pictures]))
    assert torch.equal(ours, by_pillow(pictures, ImageOps.equalize))
    small = pictures[:, :, :8, :8].contiguous()  # fewer pixels than levels
    assert torch.equal(ops.look_up(small, ops.equalize_tables(small)), by_pillow(small, ImageOps.equalize))


@pytest.mark.parametrize("bits", [1, 3, 4, 8])
def test_posterize_is_torchvisions(pictures: Tensor, bits: int) -> None:
    ours = ops.look_up(pictures, ops.posterize_tables(torch.full((len(pictures),), bits)))
    assert torch.equal(ours, TF.posterize(pictures, bits))


@pytest.mark.parametrize("threshold", [0, 180, 255, 256])
def test_solarize_is_pillows(pictures: Tensor, threshold: int) -> None:
    ours = ops.look_up(pictures, ops.solarize_tables(torch.full((len(pictures),), threshold)))
    assert torch.equal(ours, by_pillow(pictures, lambda image: ImageOps.solarize(image, threshold)))


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("severity", [0.2, 2.9, 10.0])
@pytest.mark.parametrize("name", ops.MOTIONS)
def test_motions_are_torchvisions_and_inside_the_frame_pillows(
    pictures: Tensor, name: str, severity: float, sign: float
) -> None:
    height, width = pictures.shape[2:]
    degrees = sign * int(severity * 30 / 10)
    shear = sign * severity * 0.3 / 10
    steps = {"translate_x": sign * int(severity * width / 30), "translate_y": sign * int(severity * height / 30)}
    pillow = {
        "shear_x": (1, shear, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, shear, 1, 0),
        "translate_x": (1, 0, steps["translate_x"], 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, steps["translate_y"]),
    }

    def by_torchvision() -> Tensor:
        if name == "rotate":
            return TF.rotate(pictures, degrees, interpolation=BILINEAR)
        shift = [-int(steps[name]) if name == each else 0 for each in ("translate_x", "translate_y")]
        tilt = [math.degrees(math.atan(shear)) if name == each else 0.0 for each in ("shear_x", "shear_y")]
        return TF.affine(pictures, 0.0, shift, 1.0, tilt, interpolation=BILINEAR, center=[0, 0])

    def moved(image: Image.Image) -> Image.Image:
        if name == "rotate":
            return image.rotate(degrees, resample=Image.Resampling.BILINEAR)
        return image.transform(image.size, Image.Transform.AFFINE, pillow[name], resample=Image.Resampling.BILINEAR)

    count = len(pictures)
    operations = torch.full((count,), ops.OPERATIONS.index(name))
    severities, signs = torch.full((count,), severity, dtype=torch.float64), torch.full((count,), sign)
    ours = ops.apply_operations(pictures, operations, severities, signs)
    assert levels_apart(ours, by_torchvision()) <= 1
    inside = ops.warp(torch.full_like(pictures, 255), ops.motion_matrices(operations, severities, signs, height, width))
    apart = (ours.int() - by_pillow(pictures, moved).int()).abs()
    assert int(apart[inside == 255].max()) <= 1


def test_an_image_among_others_fares_as_it_does_alone(pictures: Tensor) -> None:
    generator = seeded(9)
    operations = torch.arange(len(pictures)) % len(ops.OPERATIONS)
    severities = uniform((len(pictures),), 0.1, 10.0, generator)
    signs = 2.0 * whole(0, 2, (len(pictures),), generator) - 1
    together = ops.apply_operations(pictures, operations, severities, signs)
    alone = [
        ops.apply_operations(pictures[i : i + 1], operations[i : i + 1], severities[i : i + 1], signs[i : i + 1])
        for i in range(len(pictures))
    ]
    assert torch.equal(together, torch.cat(alone))


def test_a_view_is_its_image_and_its_own_chains_by_their_weights(pictures: Tensor) -> None:
    batch, width, depth = 4, 3, 3
    images = pictures[:batch].float() / 255
    views = mixed_views(images, seeded(10), width=width, max_depth=depth, severity=3.0, alpha=1.0)
    generator = seeded(10)
    weights, shares = dirichlet(2 * batch, width, 1.0, generator), beta(2 * batch, 1.0, generator)
    chains = 2 * batch * width
    depths = whole(1, depth + 1, (chains,), generator).tolist()
    operations = whole(0, len(ops.OPERATIONS), (depth, chains), generator)
    severities = uniform((depth, chains), 0.1, 3.0, generator)
    signs = 2.0 * whole(0, 2, (depth, chains), generator) - 1
    for view in range(2):
        for image in range(batch):
            row = view * batch + image
            mix = torch.zeros(images.shape[1:], dtype=torch.float64)
            for number in range(width):
                chain, picture = row * width + number, pictures[image : image + 1]
                for step in range(depths[chain]):
                    at = (step, slice(chain, chain + 1))
                    picture = ops.apply_operations(picture, operations[at], severities[at], signs[at])
                mix += weights[row, number] * picture[0].double() / 255
            expected = (1 - shares[row]) * images[image].double() + shares[row] * mix
            assert torch.allclose(views[view][image].double(), expected, rtol=0, atol=1e-6)


def test_augmix_keeps_the_images_and_ties_them_to_two_unlike_views_in_the_unit_box(pictures: Tensor) -> None:
    images = pictures.float() / 255
    logits = [torch.randn(6, 10, generator=seeded(seed)) for seed in range(3)]
    augmented = augmix(images, torch.arange(len(images)), seeded(11), coefficient=7.0)
    assert augmented.images is images
    assert augmented.targets.second is None
    assert augmented.consistency is not None
    assert torch.allclose(augmented.consistency(logits), 7 * jensen_shannon(logits))
    first, second = augmented.views
    assert not torch.equal(first, second)
    for view in (first, second):
        assert view.shape == images.shape
        assert view.dtype == images.dtype
        assert 0 <= float(view.min()) <= float(view.max()) <= 1


@pytest.mark.parametrize("scale", [0.1, 3.0, 60.0])
def test_jensen_shannon_equals_the_formula_in_float64(scale: float) -> None:
    logits = [scale * torch.randn(9, 10, generator=seeded(seed)) for seed in range(3)]
    shares = [special.softmax(each.double().numpy(), axis=1) for each in logits]
    mean = np.clip(np.mean(shares, axis=0), 1e-7, 1)
    expected = np.mean([special.rel_entr(each, mean).sum(axis=1).mean() for each in shares])
    assert float(jensen_shannon(logits)) == pytest.approx(expected, rel=1e-5)


def test_jensen_shannon_is_zero_for_equal_logits_and_at_most_log_of_their_number() -> None:
    logits = torch.randn(5, 10, generator=seeded(14))
    assert float(jensen_shannon([logits] * 3)) == pytest.approx(0, abs=1e-6)
    unlike = [1e4 * torch.eye(3)[[index]].requires_grad_() for index in range(3)]
    divergence = jensen_shannon(unlike)
    assert divergence.item() == pytest.approx(math.log(3), rel=1e-6)
    assert all(bool(each.isfinite().all()) for each in torch.autograd.grad(divergence, unlike))
