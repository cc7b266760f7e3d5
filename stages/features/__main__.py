"""`python -m stages.features pretrain` trains MoCo's encoder; `python -m stages.features embed` applies it."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from torch import Tensor
from torch import device as torch_device

from stages.core.artifacts import ImageSet, read_images, write_embeddings, write_weights
from stages.core.config.moco import Features
from stages.core.device import prepare
from stages.core.errors import ArtifactError, ConfigError
from stages.core.job import once
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.core.parquet import write_table
from stages.features.embed import embed, pixels
from stages.features.pretrain import architecture, pretrain
from stages.features.source import encoder_file, load_encoder

HISTORY_SCHEMA = pa.schema(
    [
        ("epoch", pa.int64()),
        ("loss", pa.float64()),
        ("lr", pa.float64()),
        ("knn_accuracy", pa.float64()),
        ("seconds", pa.float64()),
    ]
)
PRETRAIN_EXAMPLE = r"""\
    --settings '{"moco": {"epochs": 1, "width": 4, "batch_size": 100, "splits": 2, "queue": 200, "flip": false}}' \
    --train digits/train.safetensors --test digits/test.safetensors --resume resume/pretrain \
    --encoder digits/encoder.safetensors --history digits/pretrain.parquet --manifest digits/pretrain.json"""
EMBED_EXAMPLE = r"""\
    --settings '{"moco": {"width": 4}}' --train digits/train.safetensors --encoder digits/encoder.safetensors \
    --embeddings digits/embeddings.parquet --manifest digits/embed.json"""


def main(argv: list[str] | None = None) -> None:
    """Run the command that the first argument names."""
    commands = {"pretrain": run_pretrain, "embed": run_embed}
    words = sys.argv[1:] if argv is None else argv
    chooser = argparse.ArgumentParser(prog="python -m stages.features", description=__doc__)
    chooser.add_argument("command", choices=commands)
    command = chooser.parse_args(words[:1]).command
    with one_line_errors():
        commands[command](words[1:])


def run_pretrain(argv: list[str]) -> None:
    """Read images; pre-train; write the query encoder, the history and the manifest."""
    cli = parser("features pretrain", "Pre-train MoCo's encoder on the training images.", Features, PRETRAIN_EXAMPLE)
    cli.add_argument("--train", type=Path, required=True, help="training images (safetensors)")
    cli.add_argument("--unlabelled", type=Path, help="more images to train on, without labels (safetensors)")
    cli.add_argument("--test", type=Path, required=True, help="test images, for the kNN accuracy in the history alone")
    cli.add_argument("--encoder", type=Path, required=True, help="output: the query encoder (safetensors)")
    cli.add_argument("--history", type=Path, required=True, help="output: one row an epoch (Parquet)")
    once.add_arguments(cli)
    args = cli.parse_args(argv)
    settings = load_settings(args.settings, Features)
    if settings.source != "moco":
        raise ConfigError(f"source: {settings.source} has nothing to pre-train; run `embed` alone")
    device = prepare(args.device, args.threads, settings.seed)
    inputs = {"train": args.train, "test": args.test}
    if args.unlabelled is not None:
        inputs["unlabelled"] = args.unlabelled
    job = Job(
        args.manifest,
        modules=["stages.features.pretrain"],
        settings={"moco": settings.moco.model_dump(mode="json"), "seed": settings.seed},
        inputs=inputs,
        outputs={"encoder": args.encoder, "history": args.history},
        seed=settings.seed,
        device=device,
    )
    once.once(job, args.resume, args.planned_at, lambda: _pretrain(job, settings, device, args.resume / "state.pt"))


def _pretrain(job: Job, settings: Features, device: torch_device, saved: Path) -> None:
    """Pre-train, and write the outputs and their manifest; `saved`: what a next attempt goes on from."""
    with recorded(job) as facts:
        sets = {name: read_images(path) for name, path in job.inputs.items()}
        require_same_classes(sets, job.inputs)
        moved = {name: _to(images, device) for name, images in sets.items()}
        train, test, unlabelled = moved["train"], moved["test"], moved.get("unlabelled")
        state = pretrain(settings.moco, settings.seed, train, test, unlabelled, saved, job.key)
        write_table(job.outputs["history"], pa.Table.from_pylist(state.history, HISTORY_SCHEMA))
        write_weights(job.outputs["encoder"], state.query.state_dict(), {"kind": "moco", **architecture(settings.moco)})
        facts.update(
            images=sum(len(images.labels) for name, images in sets.items() if name != "test"),
            queue=len(state.queue.keys),
            knn_accuracy=state.history[-1]["knn_accuracy"],
            loss=state.history[-1]["loss"],
        )


def run_embed(argv: list[str]) -> None:
    """Read images and encoder; embed; write embeddings and manifest."""
    summary = "Embed the training images, un-augmented, or write their pixels as embeddings."
    cli = parser("features embed", summary, Features, EMBED_EXAMPLE)
    cli.add_argument("--train", type=Path, required=True, help="training images (safetensors)")
    cli.add_argument("--encoder", type=Path, help="what pretrain wrote; official: the checkpoint; pixels: none")
    cli.add_argument("--embeddings", type=Path, required=True, help="output: one row an image (Parquet)")
    args = cli.parse_args(argv)
    settings = load_settings(args.settings, Features)
    device = prepare(args.device, args.threads, settings.seed)
    encoder = encoder_file(settings, args.encoder)
    inputs = {"train": args.train, **({} if encoder is None else {"encoder": encoder})}
    with recorded(
        Job(
            args.manifest,
            modules=["stages.features.embed", "stages.features.source"],
            settings=settings.model_dump(mode="json", include={"source", "checkpoint", "embedding", "batch_size"}),
            inputs=inputs,
            outputs={"embeddings": args.embeddings},
            seed=settings.seed,
            device=device,
        )
    ) as facts:
        images = read_images(args.train).images
        embeddings = pixels(images) if encoder is None else _embedded(settings, encoder, images, device)
        write_embeddings(args.embeddings, embeddings)
        facts.update(images=embeddings.shape[0], dimensions=embeddings.shape[1])


def _embedded(settings: Features, encoder: Path, images: Tensor, device: torch_device) -> Tensor:
    network = load_encoder(settings, encoder).to(device)
    return embed(network, images, embedding=settings.embedding, batch_size=settings.batch_size, device=device)


def require_same_classes(sets: dict[str, ImageSet], paths: Mapping[str, Path]) -> None:
    """ArtifactError unless training and test images are labelled with the same classes, as the kNN monitor needs."""
    for name in ("train", "test"):
        if int(sets[name].labels.min()) < 0:
            raise ArtifactError(
                f"{paths[name]}: without labels the kNN accuracy cannot be measured; give them --unlabelled"
            )
    if sets["train"].classes != sets["test"].classes:
        raise ArtifactError(f"{paths['test']}: classes differ from those of {paths['train']}; prepare both together")


def _to(images: ImageSet, device: torch_device) -> ImageSet:
    return ImageSet(images.images.to(device), images.labels.to(device), images.classes)


if __name__ == "__main__":
    main()
