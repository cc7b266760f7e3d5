"""`python -m stages.structure`: neighbor lists and embeddings -> companions and structure vectors P_x (Eq. 2)."""

from pathlib import Path

import torch

from stages.core.artifacts import Structure, read_embeddings, read_neighbors, write_structure
from stages.core.config.structure import StructureSettings
from stages.core.device import prepare
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.structure.companions import companions
from stages.structure.vectors import coefficient_of_variation, controlled, embedding_structure

VECTORS = {
    "distances": "of distances (Eq. 2)",
    "uniform": "uniform (a control)",
    "permuted": "of distances, permuted within each anchor (a control)",
}

EXAMPLE = r"""--settings '{"m": 4}' \
    --neighbors digits/neighbors.parquet --embeddings digits/embeddings.parquet \
    --structure digits/structure.parquet --manifest digits/structure.json"""


def main(argv: list[str] | None = None) -> None:
    """Read neighbors and embeddings, write every anchor's companions and P_x."""
    summary = "structure vectors P_x (Eq. 2) of every training image"
    command_line = parser("structure", summary, StructureSettings, EXAMPLE)
    command_line.add_argument("--neighbors", type=Path, required=True, help="Parquet of the searched neighbor lists")
    command_line.add_argument("--embeddings", type=Path, required=True, help="Parquet of the embeddings")
    command_line.add_argument("--structure", type=Path, required=True, help="where companions and P_x (Parquet) go")
    arguments = command_line.parse_args(argv)
    with one_line_errors():
        settings = load_settings(arguments.settings, StructureSettings)
        device = prepare(arguments.device, arguments.threads, settings.seed)
        with recorded(
            Job(
                arguments.manifest,
                modules=["stages.structure.__main__"],
                settings=settings.model_dump(mode="json"),
                inputs={"neighbors": arguments.neighbors, "embeddings": arguments.embeddings},
                outputs={"structure": arguments.structure},
                seed=settings.seed,
                device=device,
            )
        ) as facts:
            drawn = torch.Generator().manual_seed(settings.seed)
            ids, distances = companions(
                settings, read_neighbors(arguments.neighbors), read_embeddings(arguments.embeddings), drawn
            )
            vectors, degenerate = embedding_structure(distances)
            vectors = controlled(vectors, settings.vector, drawn)
            write_structure(arguments.structure, Structure(ids, vectors.float()))
            facts.update(
                anchors=len(ids),
                vector=VECTORS[settings.vector],
                coefficient_of_variation=coefficient_of_variation(vectors),
                degenerate_anchors=int(degenerate.sum()),
            )
            log_line(
                f"structure: {len(ids)} anchors, {settings.m} {settings.kind} companions, P_x {facts['vector']}, "
                f"coefficient of variation {facts['coefficient_of_variation']:.4f}"
            )


if __name__ == "__main__":
    main()
