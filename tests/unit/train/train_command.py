"""The train stage's command line on forty small images, and its files."""

import json
from pathlib import Path
from typing import Any

import torch

from stages.core.artifacts import Structure, write_images, write_structure, write_weights
from stages.core.images.split import held_out_mask
from stages.core.models import Classifier
from stages.train.__main__ import main
from tests.unit.drawing import labelled_images

IMAGES, M, CLASSES = 40, 2, ("0", "1", "2", "3")
OUTPUTS = ("model.safetensors", "history.parquet", "manifest.json")
ARCHITECTURE: dict[str, Any] = {"backbone": "resnet18", "width": 2, "classes": len(CLASSES)}


def settings(method: dict[str, Any] | None = None, **recipe: Any) -> dict[str, Any]:
    attack = {"epsilon": 0.1, "step_size": 0.05, "steps": 2}
    return {
        "method": method or {},
        "recipe": {
            "epochs": 2,
            "batch_size": 16,
            "lr": 0.05,
            "schedule": {"kind": "constant"},
            "attack": attack,
            **recipe,
        },
        "model": {"width": 2},
        "augment": {"padding": 1, "flip": False},
        "monitor": {"anchors": 8, "test_images": 6},
        "seed": 3,
    }


def write_set(path: Path, count: int, seed: int, classes: tuple[str, ...] = CLASSES) -> None:
    write_images(path, labelled_images(count, seed, classes=classes))


def structure(share: float) -> Structure:
    """Two companions an image, none of them held out; `share` is the first one's part of P_x."""
    allowed = (~held_out_mask(IMAGES, 1024)).nonzero().squeeze(1).tolist()
    companions = [[other for other in (allowed[row % 30 :] + allowed) if other != row][:M] for row in range(IMAGES)]
    return Structure(torch.tensor(companions), torch.tensor([share, 1 - share]).repeat(IMAGES, 1))


def write_inputs(folder: Path) -> None:
    """All that any method reads."""
    write_set(folder / "train.safetensors", IMAGES, 0)
    write_set(folder / "test.safetensors", 8, 1)
    write_structure(folder / "structure.parquet", structure(0.5))
    write_weights(folder / "helper.safetensors", Classifier(**ARCHITECTURE).state_dict(), ARCHITECTURE)


def words(folder: Path, chosen: Any, *extra: str) -> list[str]:
    """The stage's arguments."""
    places = {
        "train": "train.safetensors",
        "test": "test.safetensors",
        "checkpoint": OUTPUTS[0],
        "history": OUTPUTS[1],
        "manifest": OUTPUTS[2],
        "resume": "resume",
    }
    named = [word for name, file in places.items() for word in (f"--{name}", str(folder / file))]
    text = chosen if isinstance(chosen, str) else json.dumps(chosen)
    return ["--settings", text, "--device", "cpu", *named, *extra]


def run(folder: Path, chosen: Any, *extra: str) -> None:
    main(words(folder, chosen, *extra))


def given(folder: Path, *names: str) -> list[str]:
    files = {"structure": "structure.parquet", "monitor": "structure.parquet", "helper": "helper.safetensors"}
    return [word for name in names for word in (f"--{name}", str(folder / files[name]))]


def outputs(folder: Path) -> dict[str, bytes]:
    """The outputs that are there, by name."""
    return {name: (folder / name).read_bytes() for name in OUTPUTS if (folder / name).exists()}
