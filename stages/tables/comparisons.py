"""`python -m stages.tables.comparisons`: every pair of rows of an experiment's tables, under each column, seed by seed.

A line compares two checkpoints on the images that both were measured on. Holm's adjustment goes over the pairs of the
same table, data set, column and seed. Seeds are never pooled: what several say together needs a model of the seeds.
"""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from pydantic import Field

from stages.core.config.section import Section
from stages.core.config.table_plan import Plan
from stages.core.files import write_text
from stages.core.host import limit_threads
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.tables.cells import Cell, score
from stages.tables.listing import csv_text
from stages.tables.paired import Counts, holm
from stages.tables.verdicts import Verdicts

CSV_HEAD = (
    *("table", "dataset", "column", "seed", "row_a", "row_b"),
    *("n", "both", "only_a", "only_b", "neither", "mcnemar_p", "holm_p", "difference", "low", "high"),
)
EXAMPLE = r"""\
    --settings '{"plans": [{"experiment": "mine", "table": "table1", "title": "Digits",
                "columns": [{"attack": "clean", "label": "Clean"}],
                "rows": [{"dataset": "digits", "label": "LSP", "method": "lsp", "runs": [{"seed": 0, "name": "lsp",
                          "outcomes": {"clean": {"path": "digits/lsp-outcomes.parquet", "attack": "clean"}}}]},
                         {"dataset": "digits", "label": "AT", "method": "at", "runs": [{"seed": 0, "name": "at",
                          "outcomes": {"clean": {"path": "digits/at-outcomes.parquet", "attack": "clean"}}}]}]}]}' \
    --root . --out tables --manifest tables/comparisons.json"""


class Comparisons(Section):
    """The tables whose rows are compared."""

    plans: tuple[Plan, ...] = Field(min_length=1)


def main(argv: list[str] | None = None) -> None:
    """Read the plans' outcomes, write `comparisons.csv` and the manifest; missing files are named, never fatal."""
    cli = parser("tables.comparisons", __doc__ or "", Comparisons, EXAMPLE, gpu=False)
    cli.add_argument("--root", type=Path, required=True, help="what the plans' paths are relative to")
    cli.add_argument("--out", type=Path, required=True, help="the folder that comparisons.csv goes to")
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, Comparisons)
        limit_threads(args.threads)
        output = args.out / "comparisons.csv"
        with recorded(
            Job(
                args.manifest,
                modules=["stages.tables.comparisons"],
                settings=settings.model_dump(mode="json"),
                inputs={path: args.root / path for plan in settings.plans for path in plan.outcomes()},
                outputs={"csv": output},
                seed=0,
                device=None,
            )
        ) as facts:
            scored = [(plan, score(plan, args.root, {})) for plan in settings.plans]
            write_text(output, csv_text(CSV_HEAD, [line for plan, cells in scored for line in lines(plan, cells)]))
            gaps = (gap for _, cells in scored for cell in cells for gap in cell.gaps)
            facts["missing"] = list(dict.fromkeys(f"{gap.run}: {gap.reason}" for gap in gaps))
        for name in facts["missing"]:
            log_line(f"comparisons: missing {name}")


def lines(plan: Plan, cells: list[Cell]) -> Iterator[list[str]]:
    """The CSV lines of a table, differences in percentage points; cells: those of its plan."""
    for block in plan.blocks():
        for column in plan.columns:
            here = [cell for cell in cells if cell.row.dataset == block[0].dataset and cell.column is column]
            for seed in sorted({verdicts.seed for cell in here for verdicts in cell.verdicts}):
                pairs = list(_pairs(here, seed))
                adjusted = holm([counts.p for _, _, counts in pairs])
                for (a, b, counts), p in zip(pairs, adjusted, strict=True):
                    start = [plan.table, block[0].dataset, column.label, str(seed), a.row.label, b.row.label]
                    yield [*start, *_numbers(counts, p)]


def _pairs(cells: list[Cell], seed: int) -> Iterator[tuple[Cell, Cell, Counts]]:
    """Every two cells that have this seed and images in common, in the order of the table."""
    having = [(cell, verdicts) for cell in cells for verdicts in cell.verdicts if verdicts.seed == seed]
    for (a, mine), (b, theirs) in combinations(having, 2):
        if (counts := _counts(mine, theirs)).n:
            yield a, b, counts


def _counts(a: Verdicts, b: Verdicts) -> Counts:
    _, mine, theirs = np.intersect1d(a.index, b.index, assume_unique=True, return_indices=True)
    return Counts.of(a.robust[mine], b.robust[theirs])


def _numbers(counts: Counts, adjusted: float) -> list[str]:
    whole = (counts.n, counts.both, counts.only_a, counts.only_b, counts.neither)
    points = (100 * value for value in (counts.difference, *counts.interval))
    return [*map(str, whole), f"{counts.p:.4g}", f"{adjusted:.4g}", *(f"{value + 0.0:.2f}" for value in points)]


if __name__ == "__main__":
    main()
