"""The attack stage's command line: four attacks on seven images."""

import json
from pathlib import Path
from typing import Any

from stages.attack.__main__ import main

ARCHITECTURE: dict[str, Any] = {
    "backbone": "resnet18",
    "width": 2,
    "classes": 10,
    "mean": [0.1, 0.2, 0.3],
    "std": [0.5, 0.5, 0.5],
}
ATTACKS: dict[str, Any] = {
    "none": {"kind": "clean"},
    "pgd-2": {"kind": "pgd", "epsilon": "2/255", "options": {"steps": 2}, "images": 5, "batch_size": 2},
    "one-step": {
        "kind": "pgd",
        "norm": "l2",
        "epsilon": 4,
        "options": {"steps": 1, "step_size": 4, "random_start": False},
    },
    "cw": {"kind": "cw", "options": {"steps": 3, "c": 1}, "images": 4},
}


def run(folder: Path, attacks: dict[str, Any] = ATTACKS) -> None:
    main(
        [
            "--settings", json.dumps({"attacks": attacks, "seed": 3}),
            "--checkpoint", str(folder / "model.safetensors"),
            "--test", str(folder / "test.safetensors"),
            "--outcomes", str(folder / "outcomes.parquet"),
            "--manifest", str(folder / "manifest.json"),
            "--resume", str(folder / "resume"),
            "--device", "cpu",
            "--threads", "1",
        ]
    )  # fmt: skip
