"""`python -m stages.pictures`: what a report shows of a data set's images, for all of its checkpoints at once."""

from pathlib import Path

import torch
from torch import nn

from stages.core.artifacts import ImageSet, read_images, read_neighbors, read_structure
from stages.core.config.certificate import RADIUS
from stages.core.config.pictures import CHECKPOINT, PicturesSettings
from stages.core.device import prepare
from stages.core.errors import ArtifactError, ConfigError
from stages.core.images.subset import measured_images, say_if_fewer
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.core.models.checkpoint import load_classifier
from stages.core.pictures import write_pictures
from stages.pictures.anchors import Anchors, choose, no_anchors
from stages.pictures.views import Shown, put_together, view

EXAMPLE = r"""--settings '{"epsilons": {"lsp": 0.1}}' \
    --train digits/train.safetensors --test digits/test.safetensors --structure digits/structure.parquet \
    --neighbors digits/neighbors.parquet --checkpoints lsp=digits/lsp.safetensors \
    --pictures digits/pictures.safetensors --manifest digits/pictures.json"""


def main(argv: list[str] | None = None) -> None:
    """Read images, structure and checkpoints; choose, measure and attack; write the pictures and the manifest."""
    cli = parser("pictures", __doc__ or "", PicturesSettings, EXAMPLE)
    cli.add_argument("--train", type=Path, required=True, help="labelled training images (safetensors)")
    cli.add_argument("--test", type=Path, required=True, help="labelled test images (safetensors)")
    cli.add_argument("--structure", type=Path, help="companions and P_x (Parquet); default: no neighbors are shown")
    cli.add_argument("--neighbors", type=Path, help="the searched lists (Parquet); default: no distances are shown")
    cli.add_argument(
        "--checkpoints",
        nargs="*",
        default=[],
        metavar="NAME=FILE",
        help="classifiers (safetensors) by the names that they are shown by; one that is not there is left out",
    )
    cli.add_argument("--pictures", type=Path, required=True, help="output: the pictures (safetensors)")
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, PicturesSettings)
        device = prepare(args.device, args.threads, settings.seed)
        beside = {name: path for name in ("structure", "neighbors") if (path := getattr(args, name)) is not None}
        job = Job(
            args.manifest,
            modules=["stages.pictures.__main__"],
            settings=settings.model_dump(mode="json"),
            inputs={"train": args.train, "test": args.test, **beside, **dict(map(_named, args.checkpoints))},
            outputs={"pictures": args.pictures},
            seed=settings.seed,
            device=device,
        )
        run(job, settings, device)


def _named(given: str) -> tuple[str, Path]:
    name, _, path = given.partition("=")
    if not path:
        raise ConfigError(f"--checkpoints: '{given}' must be NAME=FILE")
    return CHECKPOINT + name, Path(path)


def run(job: Job, settings: PicturesSettings, device: torch.device) -> None:
    """Make the pictures and their manifest."""
    with recorded(job) as facts:
        train, test = (_labelled(job.inputs[name]) for name in ("train", "test"))
        checkpoints = {
            name.removeprefix(CHECKPOINT): path for name, path in job.inputs.items() if name.startswith(CHECKPOINT)
        }
        there = {name: path for name, path in checkpoints.items() if path.is_file()}
        missing = tuple(name for name in checkpoints if name not in there)
        if not there:
            raise ArtifactError("--checkpoints: none is there to be shown; train a model first")
        say_if_fewer("pictures", settings.images, len(test.labels))
        shown = Shown(
            train,
            _chosen(job, train, settings.anchors),
            test,
            measured_images(test.labels, settings.images, "stratified"),
        )
        radii = {name: settings.epsilons.get(name, RADIUS) for name in there}
        views = [view(_classifier(path, test, device), shown, radii[name], settings) for name, path in there.items()]
        write_pictures(job.outputs["pictures"], put_together(shown, radii, views, missing, settings.steps))
        facts.update(methods=list(there), missing=list(missing), anchors=len(shown.anchors.ids), images=len(shown.rows))
        for name in missing:
            log_line(f"pictures: missing {name}")
        log_line(f"pictures: {facts['anchors']} anchors and {facts['images']} test images of {len(there)} checkpoints")


def _labelled(path: Path) -> ImageSet:
    images = read_images(path)
    if int(images.labels.min()) < 0:
        raise ArtifactError(f"{path}: the images carry no labels; pictures need labelled ones")
    return images


def _chosen(job: Job, train: ImageSet, each: int) -> Anchors:
    """The anchors that are shown, none without a structure."""
    if "structure" not in job.inputs:
        return no_anchors()
    structure = read_structure(job.inputs["structure"])
    searched = read_neighbors(job.inputs["neighbors"]) if "neighbors" in job.inputs else None
    for name, ids in (("structure", structure.companions), ("neighbors", None if searched is None else searched.ids)):
        if ids is not None and len(ids) != len(train.labels):
            raise ArtifactError(
                f"{job.inputs[name]}: lists {len(ids)} images; there are {len(train.labels)} to train on"
            )
    return choose(train.labels, structure, searched, each)


def _classifier(path: Path, test: ImageSet, device: torch.device) -> nn.Module:
    model, architecture = load_classifier(path, device)
    if architecture["classes"] != len(test.classes):
        raise ArtifactError(
            f"{path}: the model has {architecture['classes']} classes and the images {len(test.classes)}; show"
            " checkpoints of the same data set"
        )
    return model


if __name__ == "__main__":
    main()
