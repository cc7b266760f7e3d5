"""`python -m stages.lipschitz`: a checkpoint's local Lipschitz constants and Theorem 1's radii (Section 3.3)."""

import operator
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from stages.core.artifacts import read_images, require_labels
from stages.core.config.lipschitz import LipschitzSettings
from stages.core.device import prepare
from stages.core.files import digest
from stages.core.images.pixels import to_unit
from stages.core.images.subset import measured_images, say_if_fewer
from stages.core.job import once
from stages.core.job.interrupt import uninterrupted
from stages.core.job.progress import log_line, progress
from stages.core.job.resume import load_state, save_state, taking_up
from stages.core.job.saving import saving
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.core.lipschitz import summary, write_lipschitz
from stages.core.models.checkpoint import load_classifier
from stages.lipschitz.measure import Columns, measure

BATCH = 50
SECONDS_BETWEEN_SAVES = 60.0
EXAMPLE = r"""--settings '{"images": 20, "steps": 10}' \
    --checkpoint digits/lsp.safetensors --test digits/test.safetensors --resume resume/lipschitz \
    --outcomes digits/lsp-lipschitz.parquet --manifest digits/lsp-lipschitz.json"""


def main(argv: list[str] | None = None) -> None:
    """Read checkpoint and test images; measure; write a row an image and the manifest."""
    cli = parser("lipschitz", __doc__ or "", LipschitzSettings, EXAMPLE)
    cli.add_argument("--checkpoint", type=Path, required=True, help="the classifier (safetensors)")
    cli.add_argument("--test", type=Path, required=True, help="labelled test images (safetensors)")
    cli.add_argument("--outcomes", type=Path, required=True, help="output: a row an image (Parquet)")
    once.add_arguments(cli)
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, LipschitzSettings)
        device = prepare(args.device, args.threads, settings.seed)
        job = Job(
            args.manifest,
            modules=["stages.lipschitz.__main__"],
            settings=settings.model_dump(mode="json"),
            inputs={"checkpoint": args.checkpoint, "test": args.test},
            outputs={"outcomes": args.outcomes},
            seed=settings.seed,
            device=device,
        )
        once.once(job, args.resume, args.planned_at, lambda: run(job, settings, device, args.resume / "state.pt"))


def run(job: Job, settings: LipschitzSettings, device: torch.device, saved: Path) -> None:
    """Measure every chosen image; `saved`: the finished batches, which a next attempt goes on from."""
    with recorded(job) as facts:
        test = read_images(job.inputs["test"])
        model, architecture = load_classifier(job.inputs["checkpoint"], device)
        require_labels(test, architecture["classes"], str(job.inputs["test"]))
        say_if_fewer("lipschitz", settings.images, len(test.labels))
        rows = measured_images(test.labels, settings.images, "stratified")
        finished: dict[int, Columns] = {}
        if state := load_state(saved, job.key, torch.device("cpu")):
            with taking_up(saved):
                finished = {operator.index(place): {**columns} for place, columns in state["batches"].items()}
        if finished:
            log_line(f"resumed after {len(finished)} batches")
        with saving(
            lambda: save_state(saved, job.key, {"batches": finished}),
            lambda: f"after {len(finished)} batches",
            SECONDS_BETWEEN_SAVES,
        ) as save_if_due:
            batches = list(enumerate(rows.split(BATCH)))
            left = [(place, chosen) for place, chosen in batches if place not in finished]
            for place, chosen in progress(left, "lipschitz", len(left)):
                columns = _batch(model, test.images[chosen], settings, place, device)
                with uninterrupted():
                    finished[place] = columns
                save_if_due()
        table = _table(rows, test.labels[rows], [finished[place] for place, _ in batches])
        write_lipschitz(job.outputs["outcomes"], table)
        facts.update(summary(table))
        log_line(_said(facts))


def _batch(model: nn.Module, pixels: Tensor, settings: LipschitzSettings, place: int, device: torch.device) -> Columns:
    """The columns of one batch, its starts drawn from a stream of its own. pixels: uint8 (B, C, H, W)."""
    generator = torch.Generator().manual_seed(int(digest([settings.seed, place], length=15), 16))
    return measure(model, to_unit(pixels.to(device)), settings, generator)


def _table(rows: Tensor, labels: Tensor, batches: list[Columns]) -> pa.Table:
    columns = {name: torch.cat([batch[name] for batch in batches]).numpy() for name in batches[0]}
    distance = columns.pop("distance")
    return pa.table(
        {
            "index": rows.numpy(),
            "label": labels.numpy(),
            **columns,
            "distance": pa.array(distance, mask=~columns["broken"]),
        }
    )


def _said(facts: dict[str, Any]) -> str:
    return (
        f"lipschitz: L_x {facts['lipschitz'][0]:.4g} in the mean of {facts['n']} images, Theorem 1's radius"
        f" {facts['radius'][0]:.4g}, {facts['broken']} broken inside it"
    )


if __name__ == "__main__":
    main()
