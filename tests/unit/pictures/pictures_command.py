"""The pictures stage's command line on a folder's files."""

import json
from pathlib import Path
from typing import Any

from stages.core.pictures import Pictures, read_pictures
from stages.pictures.__main__ import main


def run(folder: Path, *more: str, names: tuple[str, ...] = ("plain", "other"), **settings: Any) -> Pictures:
    """What it makes of checkpoints by these names."""
    main(
        [
            "--settings", json.dumps(settings),
            "--train", str(folder / "train.safetensors"),
            "--test", str(folder / "test.safetensors"),
            "--checkpoints", *(f"{name}={folder / name}.safetensors" for name in names),
            "--pictures", str(folder / "pictures.safetensors"),
            "--manifest", str(folder / "manifest.json"),
            "--device", "cpu",
            "--threads", "1",
            *more,
        ]
    )  # fmt: skip
    return read_pictures(folder)


def near(folder: Path) -> list[str]:
    """The arguments with which neighbors are shown."""
    return ["--structure", str(folder / "structure.parquet"), "--neighbors", str(folder / "neighbors.parquet")]
