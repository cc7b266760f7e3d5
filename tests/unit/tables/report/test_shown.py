"""Pictures on the page: an image comes out as it went in, a perturbation is shown where it is."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.tables.report.shown import encoded, galleries, magnified, radius


def decoded(address: str) -> np.ndarray:
    head, _, body = address.partition(",")
    assert head in ("data:image/png;base64", "data:image/webp;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB")).transpose(2, 0, 1)


@pytest.mark.parametrize("pixels", [8, 28, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_image_is_shown_to_the_bit(pixels: int, channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (channels, pixels, pixels)).astype(np.uint8)
    image = np.broadcast_to(image, (3, pixels, pixels))
    np.testing.assert_array_equal(decoded(encoded(image)), image)


def test_a_large_image_is_shown_nearly_as_it_is_in_a_fraction_of_the_bytes() -> None:
    x, y = np.meshgrid(np.linspace(0, 255, 96), np.linspace(0, 255, 96))
    image = np.stack([x, y, (x + y) / 2]).astype(np.uint8)
    address = encoded(image)
    assert np.abs(decoded(address).astype(int) - image).mean() < 4
    assert len(address) < image.size / 4


def test_a_perturbation_is_gray_at_zero_and_black_and_white_at_its_radius() -> None:
    change = np.array([-0.1, 0.0, 0.1, 0.05, -0.2])
    assert magnified(change, 0.1).tolist() == [0, 128, 255, 191, 0]
    assert (magnified(np.zeros((3, 2, 2)), 0.0) == 128).all()


@pytest.mark.parametrize(
    ("value", "words"), [(8 / 255, "8/255"), (0.15, "0.15"), (0.3, "0.3"), (2 / 255, "2/255"), (0.0, "0")]
)
def test_a_radius_is_told_in_255ths_where_it_is_one(value: float, words: str) -> None:
    assert radius(value) == words


def test_pictures_that_are_missing_or_damaged_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/pictures.safetensors").write_bytes(b"no tensors")
    assert galleries(["none/pictures.safetensors", "broken/pictures.safetensors"], tmp_path, {}) == []
    said = capsys.readouterr().err
    assert "none/pictures.safetensors" in said
    assert "broken/pictures.safetensors" in said
