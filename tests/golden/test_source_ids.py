"""Names of data sets survive growth: each source's identity is what it was when all settings stood in one list."""

from typing import Any

import pytest

from stages.core.config.data import Data
from stages.core.config.plugins import source_names
from stages.core.files import digest

# Each: settings as a config writes them, and the digest that their images' folder was named by.
RECORDED: list[tuple[dict[str, Any], str]] = [
    ({"source": "digits"}, "4337f30f"),
    (
        {"source": "digits", "image_size": 16, "train_images": 100, "test_images": 30, "subset_seed": 3, "title": "D"},
        "f1ca357f",
    ),
    ({"source": "cifar10"}, "e17a797b"),
    ({"source": "cifar10", "folder": "x", "train_images": 5000}, "91c1535e"),
    ({"source": "stl10"}, "3edaf470"),
    ({"source": "stl10", "unlabelled": True}, "3adf6620"),
    ({"source": "stl10", "unlabelled": True, "folder": "x", "image_size": 64}, "073ff673"),
    ({"source": "svhn"}, "c1835348"),
    ({"source": "tiny-imagenet"}, "7b813740"),
    ({"source": "tiny-imagenet", "image_size": 32}, "be836916"),
    ({"source": "image-folder", "folder": "x"}, "f4e83097"),
    ({"source": "image-folder", "folder": "x", "image_size": 32}, "ce0d571a"),
    ({"source": "parquet", "folder": "x"}, "8da2ffb3"),
    ({"source": "parquet", "folder": "x", "image_column": "img", "label_column": "y", "image_size": 32}, "e4e76206"),
    ({"source": "parquet", "folder": "x", "label_column": "coarse"}, "21348c09"),
]


@pytest.mark.parametrize(("settings", "recorded"), RECORDED)
def test_a_sources_name_is_what_it_was(settings: dict[str, Any], recorded: str) -> None:
    data = Data.model_validate(settings)
    assert digest(data.identity()) == recorded
    assert Data.model_validate(data.model_dump(mode="json")) == data


def test_every_source_that_was_is_among_them() -> None:
    assert {settings["source"] for settings, _ in RECORDED} <= set(source_names())
