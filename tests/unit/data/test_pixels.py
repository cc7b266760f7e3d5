"""Decoding, squaring, and subsets with the classes in proportion."""

import io
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stages.core.errors import ArtifactError, ConfigError
from stages.data import pixels
from stages.data.pixels import square, stack
from stages.data.subset import proportional_rows, quotas


def file_of(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def decode_image(encoded: bytes, name: str = "x") -> np.ndarray:
    return pixels.decode_image(encoded, name, Counter())


def rows(labels: np.ndarray, keep: int | None, seed: int = 0) -> np.ndarray:
    return proportional_rows(labels, keep, torch.Generator().manual_seed(seed), "train_images")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "LA"])
def test_every_eight_bit_mode_decodes_to_three_channels(mode: str) -> None:
    assert decode_image(file_of(Image.fromarray(noise(5, 7)).convert(mode)), "x").shape == (5, 7, 3)


def test_more_than_eight_bits_a_channel_is_refused_and_not_clipped() -> None:
    deep = Image.fromarray(np.full((4, 4), 4000, np.uint16))
    with pytest.raises(ArtifactError, match=r"deep\.png: more than 8 bits"):
        decode_image(file_of(deep), "deep.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_cut_bytes_and_no_bytes_are_errors_that_name_the_image(kind: str) -> None:
    whole = file_of(Image.fromarray(noise(32, 32)), kind)
    for damaged in (b"", whole[: len(whole) // 2], b"not an image"):
        with pytest.raises(ArtifactError, match="row 3: not a readable image"):
            decode_image(damaged, "row 3")


def test_square_of_its_own_size_is_the_image() -> None:
    image = noise(9, 9)
    assert square(image, 9) is image


def test_square_by_a_whole_factor_is_the_mean_of_each_block() -> None:
    # to within one value: Pillow rounds once for each direction
    image = noise(16, 16)
    expected = image.reshape(8, 2, 8, 2, 3).mean(axis=(1, 3))
    assert np.abs(square(image, 8) - expected).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(8, 20), (20, 8), (11, 8)])
def test_square_keeps_the_center_of_the_longer_side(height: int, width: int) -> None:
    image = noise(height, width)
    top, left = (height - 8) // 2, (width - 8) // 2
    np.testing.assert_array_equal(square(image, 8), image[top : top + 8, left : left + 8])


@pytest.mark.parametrize("size", [3, 7, 12, 50])
def test_square_of_one_color_is_that_color(size: int) -> None:
    image = np.full((10, 14, 3), (10, 200, 77), np.uint8)
    np.testing.assert_array_equal(square(image, size), np.broadcast_to(image[0, 0], (size, size, 3)))


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((50, 50, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = square(stripes, 16).astype(float)
    assert abs(shrunk.mean() - 127.5) < 4
    assert shrunk.std() < 20


def test_each_image_is_decoded_once_and_only_those_asked_for() -> None:
    images, asked = noise(6, 4).reshape(6, 2, 2, 3), []

    def pixels(row: int) -> np.ndarray:
        asked.append(row)
        return images[row]

    stacked = stack([4, 1], pixels, str, None, "x")
    assert asked == [4, 1]
    np.testing.assert_array_equal(stacked.permute(0, 2, 3, 1), images[[4, 1]])


def test_no_images_at_all_is_an_error() -> None:
    with pytest.raises(ArtifactError, match="no images"):
        stack([], lambda row: noise(2, 2), str, None, "decoding train")


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.data())
def test_quotas_add_up_and_are_within_one_of_the_exact_share(counts: list[int], data: st.DataObject) -> None:
    keep = data.draw(st.integers(1, sum(counts)))
    given_to = quotas(np.array(counts), keep)
    exact = np.array(counts) * keep / sum(counts)
    assert given_to.sum() == keep
    assert (np.abs(given_to - exact) < 1).all()
    assert (given_to <= np.array(counts)).all()


def test_the_largest_remainders_get_what_is_left() -> None:
    assert quotas(np.array([5, 3, 2]), 4).tolist() == [2, 1, 1]
    assert quotas(np.array([2, 2, 2]), 4).tolist() == [2, 1, 1]


def test_a_subset_is_deterministic_in_its_seed_and_in_the_original_order() -> None:
    labels = np.random.default_rng(0).integers(0, 5, 200)
    first = rows(labels, 50)
    np.testing.assert_array_equal(first, rows(labels, 50))
    assert not np.array_equal(first, rows(labels, 50, seed=1))
    assert (np.diff(first) > 0).all()
    np.testing.assert_array_equal(np.bincount(labels[first]), quotas(np.bincount(labels), 50))


def test_all_images_are_kept_for_none_and_for_their_own_number() -> None:
    labels = np.random.default_rng(0).integers(0, 5, 30)
    for keep in (None, 30):
        np.testing.assert_array_equal(rows(labels, keep), np.arange(30))


def test_asking_for_more_than_there_are_is_an_error() -> None:
    with pytest.raises(ConfigError, match="train_images: 31 is more than the 30"):
        rows(np.zeros(30, np.int64), 31)
