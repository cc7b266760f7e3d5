"""What is exported is scored alike by others: a process that knows nothing of this project, and our own reader."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stages.core.artifacts import write_weights
from stages.core.config.data import Model
from stages.core.errors import ArtifactError
from stages.core.images.pixels import to_unit
from stages.core.models import BACKBONES, Classifier
from stages.core.models.activations import ACTIVATIONS
from stages.core.models.architectures import Outside, build
from stages.weights import export
from stages.weights.entry import entry
from stages.weights.matching import recognize
from stages.weights.reading import read_state
from tests.unit.drawing import labelled_images, seeded, weights_from

CLASSES, WIDTH = 5, 6


def network(backbone: str, activation: str = "relu") -> Classifier:
    """With statistics that no fresh net has, and logits that are 0 on average."""
    with weights_from(0):
        model = Classifier(**header(backbone, activation))
    with torch.no_grad():
        for _ in range(20):
            model.train()(torch.rand(32, 3, 32, 32, generator=seeded(1)))
        model.head.bias.sub_(model.eval()(to_unit(labelled_images(150, 3, side=32).images)).mean(0))
    return model.eval()


@pytest.fixture(params=sorted(BACKBONES))
def model(request: pytest.FixtureRequest) -> Classifier:
    return network(request.param)


def header(backbone: str, activation: str) -> dict[str, Any]:
    return Model(
        backbone=backbone,  # type: ignore[arg-type]
        width=WIDTH,
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.3, 0.25),
        activation=activation,  # type: ignore[arg-type]
    ).header(CLASSES)


def exported(model: Classifier, folder: Path, activation: str = "relu") -> Path:
    name = next(name for name, kind in BACKBONES.items() if isinstance(model.backbone, kind))
    write_weights(folder / "own.safetensors", model.state_dict(), header(name, activation))
    export.main(["--checkpoint", str(folder / "own.safetensors"), "--into", str(folder / "out")])
    return folder / "out"


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_plain_torch_gives_the_same_predictions_without_this_project(
    backbone: str, activation: str, tmp_path: Path
) -> None:
    model = network(backbone, activation)
    out = exported(model, tmp_path, activation)
    pictures = labelled_images(150, 3, side=32, classes=tuple("abcde"))
    np.save(out / "images.npy", pictures.images.numpy())
    np.save(out / "labels.npy", pictures.labels.numpy())
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", "score.py", "images.npy", "labels.npy"],
        cwd=out,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        predictions = model(to_unit(pictures.images)).argmax(dim=1)
    assert len(predictions.unique()) > 1
    assert np.load(out / "predictions.npy").tolist() == predictions.tolist()
    right = float((predictions == pictures.labels).float().mean())
    assert done.stdout.strip() == f"{right:.2%} of 150 images are right"


def test_what_is_exported_is_recognized_when_it_comes_back(model: Classifier, tmp_path: Path) -> None:
    found = read_state(exported(model, tmp_path) / "model.pt")
    assert (found.mean, found.std) == (pytest.approx((0.4, 0.5, 0.6)), pytest.approx((0.2, 0.3, 0.25)))
    fit = recognize(found.tensors, None, CLASSES)
    network = build(fit.architectures[0], CLASSES, fit.width)
    network.load_state_dict(found.tensors)
    assert found.mean is not None
    assert found.std is not None
    images = torch.rand(8, 3, 32, 32, generator=seeded(2))
    with torch.no_grad():
        again = Outside(network, found.mean, found.std).eval()(images)
        torch.testing.assert_close(again, model(images), rtol=1e-4, atol=1e-4)


def test_a_checkpoint_of_ours_that_does_not_rectify_is_not_read_as_one_that_does(tmp_path: Path) -> None:
    exported(network("resnet18", "silu"), tmp_path, "silu")
    with pytest.raises(ArtifactError, match=r"a checkpoint of ours with activation silu, and .* stages\.attack`$"):
        read_state(tmp_path / "own.safetensors")
    exported(network("resnet18"), tmp_path)
    assert read_state(tmp_path / "own.safetensors").tensors


def test_a_script_is_short_and_knows_nothing_of_this_project() -> None:
    for name in BACKBONES:
        text = (export.PLAIN / f"{name}.py").read_text()
        tree = ast.parse(text)
        assert len([line for line in text.splitlines()[1:] if line]) <= 20
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported == {"sys", "numpy", "torch", "torch.nn.functional"}


def attacked(**attacks: tuple[dict[str, object], int, float]) -> dict[str, object]:
    """A manifest: attack -> (settings, images, robust accuracy)."""
    return {
        "settings": {"attacks": {name: settings for name, (settings, _, _) in attacks.items()}},
        "inputs": {"test": {"path": "results/data/cifar10-jpeg-ec37d881/test.safetensors"}},
        "facts": {
            "attacks": {
                name: {"n": n, "robust_accuracy": robust, "clean_accuracy": robust}
                for name, (_, n, robust) in attacks.items()
            }
        },
    }


def test_an_entry_holds_what_is_known_and_names_the_rest() -> None:
    aa = {"kind": "autoattack", "epsilon": 8 / 255}
    engine = {"kind": "autoattack-engine", "epsilon": 8 / 255}
    manifests = [
        attacked(clean=({"kind": "clean"}, 10_000, 0.85), few=({"kind": "clean"}, 100, 0.5)),
        attacked(aa=(aa, 1000, 0.45), engine=(engine, 1000, 0.44), some=(aa, 100, 0.9)),
    ]
    found = entry("resnet18, width 64", manifests)
    assert found == {
        **dict.fromkeys(("link", "name", "authors", "venue", "reported", "unreliable")),
        "additional_data": None,
        "number_forward_passes": 1,
        "dataset": "cifar10-jpeg",
        "architecture": "resnet18, width 64",
        "eps": "8/255",
        "clean_acc": "85.00",
        "autoattack_acc": "45.00",
        "footnote": "autoattack on 1000 test images",
    }
    bare = entry("resnet18, width 64", [])
    assert (bare["clean_acc"], bare["autoattack_acc"], bare["eps"], bare["dataset"]) == (None, None, None, None)
    json.dumps(found)


def test_what_came_from_elsewhere_is_not_exported_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_weights(tmp_path / "own.safetensors", {"a": torch.zeros(1)}, {"architecture": "cifar:resnet18", "classes": 2})
    with pytest.raises(SystemExit):
        export.main(["--checkpoint", str(tmp_path / "own.safetensors"), "--into", str(tmp_path / "out")])
    assert "came from elsewhere; its own file is what others can read" in capfd.readouterr().err
