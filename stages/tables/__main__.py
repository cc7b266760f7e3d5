"""`python -m stages.tables`: one table or figure of an experiment, from outcomes and histories."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from stages.core.config.table_plan import Plan
from stages.core.files import write_text
from stages.core.host import limit_threads
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.tables import gone
from stages.tables.cells import Cell, score, write_cells
from stages.tables.curves import Curves, read_curves, write_curves
from stages.tables.latex import latex_document, latex_fragment
from stages.tables.paper import PAPER, read_paper
from stages.tables.remarks import remarks
from stages.tables.sheet import lay_out
from stages.tables.terminal import terminal_text

ENDINGS = {
    "table": {"csv": ".csv", "tex": ".tex", "document": "-document.tex", "txt": ".txt"},
    "losses": {"csv": ".csv", "png": ".png", "pdf": ".pdf"},
}

EXAMPLE = r"""\
    --settings '{"experiment": "mine", "table": "table1", "title": "Digits",
                "columns": [{"attack": "clean", "label": "Clean"}, {"attack": "fgsm", "label": "FGSM"}],
                "rows": [{"dataset": "digits", "label": "LSP", "method": "lsp", "runs": [{"seed": 0, "name": "lsp",
                          "outcomes": {"clean": {"path": "digits/lsp-outcomes.parquet", "attack": "clean"},
                                       "fgsm": {"path": "digits/lsp-outcomes.parquet", "attack": "fgsm"}}}]}]}' \
    --root . --out tables --manifest tables/table1.json"""


def main(argv: list[str] | None = None) -> None:
    """Read a plan's files, write its table or figure and the manifest; missing files are named, never fatal."""
    cli = parser("tables", __doc__ or "", Plan, EXAMPLE, gpu=False)
    cli.add_argument("--root", type=Path, required=True, help="what the plan's paths are relative to")
    cli.add_argument("--out", type=Path, required=True, help="the folder that the table's files go to")
    gone.add_argument(cli)
    args = cli.parse_args(argv)
    with one_line_errors():
        plan = load_settings(args.settings, Plan)
        limit_threads(args.threads)
        inputs = {path: args.root / path for path in plan.files()} | {"paper.csv": PAPER}
        outputs = {name: args.out / f"{plan.table}{ending}" for name, ending in ENDINGS[plan.kind].items()}
        with recorded(
            Job(
                args.manifest,
                modules=["stages.tables.__main__"],
                settings=plan.model_dump(mode="json"),
                inputs=inputs,
                outputs=outputs,
                seed=plan.seed,
                device=None,
            )
        ) as facts:
            shown = plan.model_copy(update={"notes": (*plan.notes, *gone.gone_notes(args.gone))})
            facts["missing"] = (write_table if plan.kind == "table" else write_figure)(shown, args.root, outputs)
            facts["gone"] = args.gone
        for name in facts["missing"]:
            log_line(f"{plan.table}: missing {name}")


def write_table(plan: Plan, root: Path, outputs: Mapping[str, Path]) -> list[str]:
    """Write a table as CSV, text, and LaTeX, alone and in a document; return what is missing, each run once."""
    cells = score(plan, root, read_paper())
    sheet = lay_out(plan, cells, remarks(plan, cells, root))
    write_cells(outputs["csv"], cells)
    write_text(outputs["tex"], latex_fragment(sheet))
    write_text(outputs["document"], latex_document(sheet, outputs["tex"].name))
    write_text(outputs["txt"], terminal_text(sheet))
    return _named(cells)


def write_figure(plan: Plan, root: Path, outputs: Mapping[str, Path]) -> list[str]:
    """Write the figure of the losses and its numbers; return what is missing, each run once."""
    from stages.tables.figure import draw_losses  # loads matplotlib, which tables do not need

    curves = read_curves(plan, root)
    write_curves(outputs["csv"], curves)
    draw_losses(plan.title, curves, plan.notes, (outputs["png"], outputs["pdf"]))
    return _named(curves)


def _named(parts: Sequence[Cell | Curves]) -> list[str]:
    return list(dict.fromkeys(f"{gap.run}: {gap.reason}" for part in parts for gap in part.gaps))


if __name__ == "__main__":
    main()
