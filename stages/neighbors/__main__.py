"""`python -m stages.neighbors build | search`: embeddings -> FAISS index -> neighbor lists and a report on them."""

import argparse
from pathlib import Path
from typing import Any

import torch

from stages.core.artifacts import Neighbors, read_embeddings, read_images, write_neighbors
from stages.core.config.structure import NeighborSearch
from stages.core.device import prepare
from stages.core.files import write_json
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.neighbors.index import build_index, cells, checksum_path, on_gpu, read_index, write_index
from stages.neighbors.quality import neighbor_facts, recall, require_a_label_each, sample_anchors
from stages.neighbors.search import check_depth, search

MODULES = ["stages.neighbors.__main__"]
BUILD_EXAMPLE = r"""--settings '{"depth": 8}' \
    --embeddings digits/embeddings.parquet --index digits/index.faiss --manifest digits/build.json"""
SEARCH_EXAMPLE = r"""--settings '{"depth": 8}' \
    --embeddings digits/embeddings.parquet --index digits/index.faiss --labels-from digits/train.safetensors \
    --neighbors digits/neighbors.parquet --report digits/report.json --manifest digits/search.json"""


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run one of the two commands."""
    arguments = _arguments().parse_args(argv)
    with one_line_errors():
        settings = load_settings(arguments.settings, NeighborSearch)
        device = prepare(arguments.device, arguments.threads, seed=0)
        arguments.command(arguments, settings, device)


def build(arguments: argparse.Namespace, settings: NeighborSearch, device: torch.device) -> None:
    """Write the index of the embeddings and its checksum."""
    with recorded(
        Job(
            arguments.manifest,
            modules=MODULES,
            settings=settings.model_dump(mode="json"),
            inputs={"embeddings": arguments.embeddings},
            outputs={"index": arguments.index, "checksum": checksum_path(arguments.index)},
            seed=0,
            device=device,
        )
    ) as facts:
        embeddings = read_embeddings(arguments.embeddings)
        check_depth(settings.depth, len(embeddings))
        index = build_index(embeddings, settings, device)
        write_index(arguments.index, index)
        facts.update(images=len(embeddings), dimensions=embeddings.shape[1], cells=cells(index))


def search_all(arguments: argparse.Namespace, settings: NeighborSearch, device: torch.device) -> None:
    """Write every image's neighbor list and the report."""
    with recorded(
        Job(
            arguments.manifest,
            modules=MODULES,
            settings=settings.model_dump(mode="json"),
            inputs={"embeddings": arguments.embeddings, "index": arguments.index, "labels": arguments.labels_from},
            outputs={"neighbors": arguments.neighbors, "report": arguments.report},
            seed=0,
            device=device,
        )
    ) as facts:
        embeddings = read_embeddings(arguments.embeddings)
        labels = read_images(arguments.labels_from).labels
        require_a_label_each(labels, embeddings)
        index = read_index(arguments.index, embeddings)
        neighbors, report = find(index, embeddings, settings, device)
        report |= neighbor_facts(embeddings, neighbors, labels)
        write_neighbors(arguments.neighbors, neighbors)
        write_json(arguments.report, report)
        facts.update(report)
        purity = "no labels" if report["label_purity"] is None else f"label purity {report['label_purity']:.4f}"
        log_line(f"neighbors: {len(embeddings)} images, recall {report['recall']:.4f}, {purity}")


def find(
    index: Any, embeddings: torch.Tensor, settings: NeighborSearch, device: torch.device
) -> tuple[Neighbors, dict[str, Any]]:
    """Neighbor lists of every image and how the search went; an IVF search is measured against an exact one.

    An exact search needs no sample: but for `undecided_anchors` its lists are proven complete (see `search`).
    """
    images, width = len(embeddings), settings.depth + 1 + settings.extra
    wanted = {"depth": settings.depth, "extra": settings.extra, "probes": settings.probes}
    found = search(on_gpu(index, device, width), embeddings, torch.arange(images), **wanted)
    report = {
        "images": images,
        "dimensions": embeddings.shape[1],
        "index": settings.index,
        "depth": settings.depth,
        "cells": cells(index),
        "probes": found.probes,
        "candidates": found.candidates,
        "undecided_anchors": found.undecided,
        "recall": 1.0,
        "recall_anchors": 0,
    }
    if settings.index == "ivf":
        anchors = sample_anchors(images, settings.recall_sample)
        exact = on_gpu(build_index(embeddings, NeighborSearch(index="exact"), device), device, width)
        truth = search(exact, embeddings, anchors, **wanted).neighbors
        listed = Neighbors(found.neighbors.ids[anchors], found.neighbors.distances[anchors])
        report |= {"recall": recall(listed, truth), "recall_anchors": len(anchors)}
    return found.neighbors, report


def _arguments() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m stages.neighbors", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="build | search")
    for name, command, summary, example in (
        ("build", build, "index the embeddings with FAISS", BUILD_EXAMPLE),
        ("search", search_all, "list every image's nearest neighbors and report on them", SEARCH_EXAMPLE),
    ):
        shared = parser(f"neighbors {name}", summary, NeighborSearch, example)
        built = commands.add_parser(
            name,
            parents=[shared],
            add_help=False,
            help=summary,
            description=summary,
            epilog=shared.epilog,
            formatter_class=shared.formatter_class,
        )
        built.set_defaults(command=command)
        built.add_argument("--embeddings", type=Path, required=True, help="Parquet of the embeddings")
        built.add_argument("--index", type=Path, required=True, help="the FAISS index; its .sha256 stands beside it")
        if name == "search":
            built.add_argument("--labels-from", type=Path, required=True, help="images whose labels measure purity")
            built.add_argument("--neighbors", type=Path, required=True, help="where the neighbor lists (Parquet) go")
            built.add_argument("--report", type=Path, required=True, help="where the report (JSON) goes")
    return top


if __name__ == "__main__":
    main()
