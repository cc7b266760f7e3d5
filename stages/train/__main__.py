"""`python -m stages.train`: one classifier, one method, one seed."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from torch import device as torch_device
from torch import nn

from stages.core.artifacts import (
    UNLABELLED,
    ImageSet,
    Structure,
    read_images,
    read_structure,
    write_weights,
)
from stages.core.config.method import Method, TrainSettings
from stages.core.config.plugins import declares, module_name
from stages.core.device import prepare
from stages.core.errors import ArtifactError, ConfigError
from stages.core.images.subset import say_if_fewer
from stages.core.job import once
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.core.models import Classifier
from stages.core.models.checkpoint import load_classifier
from stages.core.parquet import write_table
from stages.train.loop import Inputs, train

EXAMPLE = r"""\
    --settings '{"method": {"lsp": {"m": 4}}, "recipe": {"epochs": 1, "schedule": {"kind": "constant"}},
                 "model": {"width": 4}, "augment": {"padding": 1, "flip": false}, "monitor": {"anchors": 64}}' \
    --train digits/train.safetensors --test digits/test.safetensors --structure digits/structure.parquet \
    --resume resume/train --checkpoint digits/lsp.safetensors --history digits/lsp.parquet --manifest digits/lsp.json"""


def main(argv: list[str] | None = None) -> None:
    """Read images, structure vectors and helper; train; write weights, history and manifest."""
    cli = parser("train", __doc__ or "", TrainSettings, EXAMPLE)
    cli.add_argument("--train", type=Path, required=True, help="training images (safetensors)")
    cli.add_argument("--test", type=Path, required=True, help="test images, measured each epoch, never selected on")
    cli.add_argument("--structure", type=Path, help="structure vectors of the method's LSP term (Parquet)")
    cli.add_argument("--monitor", type=Path, help="structure vectors for the LSP loss in the history (Parquet)")
    cli.add_argument("--helper", type=Path, help="checkpoint of the helper net, for an objective that needs one")
    cli.add_argument("--checkpoint", type=Path, required=True, help="output: the selected weights (safetensors)")
    cli.add_argument("--history", type=Path, required=True, help="output: one row an epoch (Parquet)")
    once.add_arguments(cli)
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, TrainSettings)
        device = prepare(args.device, args.threads, settings.seed)
        named = {name: getattr(args, name) for name in ("train", "test", "structure", "monitor", "helper")}
        job = Job(
            args.manifest,
            modules=code_modules(settings.method),
            settings=settings.model_dump(mode="json"),
            inputs={name: path for name, path in named.items() if path is not None},
            outputs={"checkpoint": args.checkpoint, "history": args.history},
            seed=settings.seed,
            device=device,
        )
        once.once(job, args.resume, args.planned_at, lambda: run(job, settings, device, args.resume / "state.pt"))


def run(job: Job, settings: TrainSettings, device: torch_device, saved: Path) -> None:
    """Train, and write the outputs and their manifest; `saved`: what a next attempt goes on from."""
    with recorded(job) as facts:
        inputs = read_inputs(settings, job.inputs, device)
        architecture = settings.model.header(len(inputs.train.classes))
        there = len(inputs.test.labels)
        say_if_fewer("monitor", settings.monitor.test_images, there)
        model = Classifier(**architecture).to(device)
        state = train(model, settings, inputs, saved, job.key)
        write_table(job.outputs["history"], pa.Table.from_pylist(state.history))
        write_weights(job.outputs["checkpoint"], state.best_weights or model.state_dict(), architecture)
        facts.update(selected_epoch=state.best_epoch, **best_on_test(state.history, settings, there))


def code_modules(method: Method) -> list[str]:
    """The modules whose import closures decide this method's result."""
    return [
        "stages.train.__main__",
        module_name("objectives", method.objective.name),
        module_name("augmentations", method.augmentation.name),
    ]


def best_on_test(history: list[dict[str, float]], settings: TrainSettings, there: int) -> dict[str, object]:
    """The epoch that the test images would have selected, for parity with tables that select so; never used here.

    there: test images of the set. Beside its accuracies stands what they rest on: how many images (all of them where
    `subset` says so) and which PGD, so that a table shows them only beside figures of the same.
    """
    measured = [row for row in history if "robust_accuracy" in row]
    if not measured:
        return {}
    best = max(measured, key=lambda row: row["robust_accuracy"])
    asked, attack = settings.monitor.test_images, settings.recipe.attack
    return {
        "test_selected": {
            "epoch": int(best["epoch"]),
            "clean": best["clean_accuracy"],
            "pgd": best["robust_accuracy"],
            "n": min(asked, there),
            "subset": settings.monitor.subset if asked < there else "all",
            "attack": attack.model_dump(mode="json", exclude={"ramp_epochs"}),
        }
    }


def read_inputs(settings: TrainSettings, paths: Mapping[str, Path], device: torch_device) -> Inputs:
    """Read and check everything the method needs, on the device."""
    method = settings.method
    train_images, test_images = (_images(paths[name], device) for name in ("train", "test"))
    if train_images.classes != test_images.classes:
        raise ArtifactError(f"{paths['test']}: classes differ from those of {paths['train']}; prepare both together")
    if method.lsp is not None and "structure" not in paths:
        raise ConfigError("the method has an LSP term: --structure is needed")
    needs_helper = declares("objectives", method.objective.name, "NEEDS_HELPER")
    if needs_helper and "helper" not in paths:
        raise ConfigError(f"objective {method.objective.name} needs a helper net: --helper is needed")
    structure, monitored = (
        _structure(paths[name], train_images, device) if name in paths else None for name in ("structure", "monitor")
    )
    if method.lsp is not None and structure is not None and structure.vectors.shape[1] != method.lsp.m:
        raise ArtifactError(
            f"{paths['structure']}: holds m = {structure.vectors.shape[1]}, the method has m = {method.lsp.m}"
        )
    return Inputs(train_images, test_images, structure, monitored, _helper(paths, train_images, device))


def _images(path: Path, device: torch_device) -> ImageSet:
    images = read_images(path)
    if bool((images.labels == UNLABELLED).any()):
        raise ArtifactError(f"{path}: the images are unlabelled; a classifier needs labelled ones")
    return ImageSet(images.images.to(device), images.labels.to(device), images.classes)


def _structure(path: Path, images: ImageSet, device: torch_device) -> Structure:
    structure = read_structure(path)
    if len(structure.companions) != len(images.labels):
        raise ArtifactError(f"{path}: {len(structure.companions)} anchors for {len(images.labels)} training images")
    return Structure(structure.companions.to(device), structure.vectors.to(device))


def _helper(paths: Mapping[str, Path], images: ImageSet, device: torch_device) -> nn.Module | None:
    if "helper" not in paths:
        return None
    helper, architecture = load_classifier(paths["helper"], device)
    if architecture["classes"] != len(images.classes):
        raise ArtifactError(f"{paths['helper']}: a net of {architecture['classes']} classes, not {len(images.classes)}")
    return helper


if __name__ == "__main__":
    main()
