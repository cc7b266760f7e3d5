"""`python -m stages.weights`: a checkpoint from elsewhere, recognized and checked, as one of ours."""

import contextlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stages.core.artifacts import ImageSet, read_images, write_weights
from stages.core.config.checkpoint import WeightsSettings
from stages.core.device import prepare
from stages.core.errors import ConfigError
from stages.core.files import sha256_file
from stages.core.images.pixels import to_unit
from stages.core.images.subset import measured_images
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.core.models.architectures import Outside, build, is_own_code
from stages.weights.checks import Sample, check_outputs, choose
from stages.weights.matching import differences, recognize, shapes
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
            images = sample(test, settings.images, device)
            whole = sample(test, None, device)
            model, described = classifier(found, settings, images, whole, len(test.classes), facts)
            write_weights(args.checkpoint, model.state_dict(), described)
            say(facts)


def sample(test: ImageSet, count: int | None, device: torch.device) -> Sample:
    """So many of the test images, classes in proportion; or all."""
    chosen = measured_images(test.labels, count, "stratified")
    return Sample(to_unit(test.images[chosen].to(device)), test.labels[chosen].to(device))


def classifier(
    found: Found, settings: WeightsSettings, images: Sample, whole: Sample, classes: int, facts: dict[str, Any]
) -> tuple[Outside, dict[str, Any]]:
    """The checked model of a file's weights, and what its checkpoint's header says of it; `facts` are filled in."""
    networks, header = candidates(found, settings, classes, facts)
    for network in networks.values():
        network.to(images.images.device).eval().requires_grad_(False)
    of_file = None if found.mean is None or found.std is None else (found.mean, found.std)
    given = of_file if settings.mean is None or settings.std is None else (settings.mean, settings.std)
    name, statistics, told = choose(networks, images, given, whole, of_file)
    model = Outside(networks[name], *statistics).to(images.images.device).eval()
    facts.update(
        architecture=name, classes=classes, **header, mean=list(statistics[0]), std=list(statistics[1]), **told
    )
    facts.update(taken=found.key, others=list(found.others))
    facts.update(check_outputs(model, images, classes))
    return model, {"architecture": name, "classes": classes, **header}


def candidates(
    found: Found, settings: WeightsSettings, classes: int, facts: dict[str, Any]
) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    """Networks with the file's weights, by their architectures, and what a header says of them all besides."""
    named = settings.architecture
    if named is not None and is_own_code(named):
        code = sha256_file(Path(named.partition(":")[0]))
        return {named: own(build(named, classes, code=code), found)}, {"code": code}
    fit = recognize(found.tensors, named, classes)
    used = {name: value for name, value in found.tensors.items() if name not in fit.unused}
    facts.update(unused=len(fit.unused))
    networks = {name: build(name, classes, fit.width) for name in fit.architectures}
    for network in networks.values():
        network.load_state_dict(used, strict=False)  # batch norm's counters may lack; all else was compared
    return networks, {"width": fit.width}


def own(network: nn.Module, found: Found) -> nn.Module:
    """A net of the user's code with the file's weights: under the file's own names, or without wrappers' names."""
    for state in (found.raw, found.tensors):
        with contextlib.suppress(RuntimeError):
            network.load_state_dict(state)
            return network
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    raise ConfigError(f"the weights do not fit your code, which {differences(shapes(found.tensors), wanted)}")


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
        warnings.append(f"as many images or more are right with {', '.join(close)} statistics")
    for warning in warnings:
        log_line(f"weights: warning: {warning}")


if __name__ == "__main__":
    main()
