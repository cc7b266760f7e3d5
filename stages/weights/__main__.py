"""`python -m stages.weights`: a checkpoint from elsewhere, recognized and checked, as one of ours."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from stages.core.artifacts import ImageSet, read_images, write_weights
from stages.core.config.checkpoint import WeightsSettings
from stages.core.device import prepare
from stages.core.images.pixels import to_unit
from stages.core.images.subset import measured_images
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.core.models.architectures import Outside, build
from stages.weights.checks import Sample, check_outputs, find_normalization
from stages.weights.matching import recognize
from stages.weights.reading import Found, read_state

EXAMPLE = r"""\
    --settings '{"architecture": "resnet18"}' --file my.pt --test digits/test.safetensors \
    --checkpoint digits/mine.safetensors --manifest digits/mine.json"""


def main(argv: list[str] | None = None) -> None:
    """Read a file of weights and test images; write a checkpoint, and to the manifest what was found."""
    cli = parser("weights", __doc__ or "", WeightsSettings, EXAMPLE)
    cli.add_argument("--file", type=Path, required=True, help=".pt, .pth, .ckpt or .safetensors; nothing in it is run")
    cli.add_argument("--test", type=Path, required=True, help="labelled test images that the checks are made on")
    cli.add_argument("--checkpoint", type=Path, required=True, help="output: the classifier (safetensors)")
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, WeightsSettings)
        device = prepare(args.device, args.threads, 0)
        job = Job(
            args.manifest,
            modules=["stages.weights.__main__"],
            settings=settings.model_dump(mode="json"),
            inputs={"file": args.file, "test": args.test},
            outputs={"checkpoint": args.checkpoint},
            seed=0,
            device=device,
        )
        with recorded(job) as facts:
            test, found = read_images(args.test), read_state(args.file, settings.weights)
            model, described = recognized(found, settings, len(test.classes), facts)
            model.to(device).eval().requires_grad_(False)
            check(model, sample(test, settings, device), found, settings, facts)
            write_weights(args.checkpoint, model.state_dict(), described)
            say(facts)


def recognized(
    found: Found, settings: WeightsSettings, classes: int, facts: dict[str, Any]
) -> tuple[Outside, dict[str, Any]]:
    """The model with the file's weights, still without normalization, and what the checkpoint's header says of it."""
    fit = recognize(found.tensors, settings.architecture, classes)
    described = {"architecture": fit.architecture, "classes": classes, "width": fit.width}
    network: nn.Module = build(fit.architecture, classes, fit.width)
    used = {name: value for name, value in found.tensors.items() if name not in fit.unused}
    network.load_state_dict(used, strict=False)  # batch norm's counters may lack; all else was compared
    facts.update(**described, taken=found.key, others=list(found.others), unused=len(fit.unused))
    return Outside(network, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), described


def sample(test: ImageSet, settings: WeightsSettings, device: torch.device) -> Sample:
    """The test images that the checks are made on."""
    chosen = measured_images(test.labels, settings.images, "stratified")
    return Sample(to_unit(test.images[chosen].to(device)), test.labels[chosen].to(device))


def check(model: Outside, images: Sample, found: Found, settings: WeightsSettings, facts: dict[str, Any]) -> None:
    """Put the normalization into the model, and check what it returns."""
    mean, std = (found.mean, found.std) if settings.mean is None else (settings.mean, settings.std)
    given = None if mean is None or std is None else (mean, std)
    statistics, told = find_normalization(model.network, images, given)
    for buffer, values in zip((model.mean, model.std), statistics, strict=True):
        buffer.copy_(torch.tensor(values).view_as(buffer))
    facts.update(mean=list(statistics[0]), std=list(statistics[1]), **told)
    facts.update(check_outputs(model, images, facts["classes"]))


def say(facts: dict[str, Any]) -> None:
    """What was found, in the log."""
    log_line(
        f"weights: {facts['architecture']}, normalization {facts['normalization']}, {facts['accuracy']:.1%} of"
        f" {facts['images']} test images right"
    )
    warnings = list(facts.get("warnings", []))
    warnings += [
        f"the file holds a moving average too; `weights: {key}` takes it"
        for key in facts["others"]
        if "ema" in key.lower()
    ]
    if alike := facts.get("not_told_apart"):
        warnings.append(
            f"on these images {', '.join(alike)} statistics do as well; write mean and std if you know them"
        )
    for warning in warnings:
        log_line(f"weights: warning: {warning}")


if __name__ == "__main__":
    main()
