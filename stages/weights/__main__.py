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
from stages.weights.checks import Sample, check_outputs, choose
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
            model, described = classifier(found, settings, sample(test, settings, device), len(test.classes), facts)
            write_weights(args.checkpoint, model.state_dict(), described)
            say(facts)


def sample(test: ImageSet, settings: WeightsSettings, device: torch.device) -> Sample:
    """The test images that the checks are made on."""
    chosen = measured_images(test.labels, settings.images, "stratified")
    return Sample(to_unit(test.images[chosen].to(device)), test.labels[chosen].to(device))


def classifier(
    found: Found, settings: WeightsSettings, images: Sample, classes: int, facts: dict[str, Any]
) -> tuple[Outside, dict[str, Any]]:
    """The checked model of a file's weights, and what its checkpoint's header says of it; `facts` are filled in."""
    fit = recognize(found.tensors, settings.architecture, classes)
    used = {name: value for name, value in found.tensors.items() if name not in fit.unused}
    networks = {name: _loaded(build(name, classes, fit.width), used, images) for name in fit.architectures}
    mean, std = (found.mean, found.std) if settings.mean is None else (settings.mean, settings.std)
    name, statistics, told = choose(networks, images, None if mean is None or std is None else (mean, std))
    model = Outside(networks[name], *statistics).to(images.images.device).eval()
    described = {"architecture": name, "classes": classes, "width": fit.width}
    facts.update(**described, mean=list(statistics[0]), std=list(statistics[1]), **told)
    facts.update(taken=found.key, others=list(found.others), unused=len(fit.unused))
    facts.update(check_outputs(model, images, classes))
    return model, described


def _loaded(network: nn.Module, tensors: dict[str, torch.Tensor], images: Sample) -> nn.Module:
    """The network with these weights, on the images' device, in eval mode."""
    network.load_state_dict(tensors, strict=False)  # batch norm's counters may lack; all else was compared
    return network.to(images.images.device).eval().requires_grad_(False)


def say(facts: dict[str, Any]) -> None:
    """What was found, in the log."""
    log_line(
        f"weights: {facts['architecture']}, normalization {facts['normalization']}, {facts['accuracy']:.1%} of"
        f" {facts['images']} test images right"
    )
    warnings = [
        f"the file holds a moving average too; `weights: {key}` takes it"
        for key in facts["others"]
        if "ema" in key.lower()
    ]
    if close := facts["not_told_apart"]:
        warnings.append(f"not told apart on these images: {', '.join(close)}; write what you know of it")
    for warning in warnings:
        log_line(f"weights: warning: {warning}")


if __name__ == "__main__":
    main()
