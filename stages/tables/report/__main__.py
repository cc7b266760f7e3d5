"""`python -m stages.tables.report`: an experiment as one HTML file, from whatever of it is there."""

from pathlib import Path

from stages.core.files import write_text
from stages.core.host import limit_threads
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.tables import gone
from stages.tables.paper import PAPER
from stages.tables.report.page import PAGE, document
from stages.tables.report.told import Report

EXAMPLE = r"""\
    --settings '{"experiment": "mine", "seeds": 1, "place": "tables",
                "plans": [{"experiment": "mine", "table": "table1", "title": "Digits",
                "columns": [{"attack": "clean", "label": "Clean"}],
                "rows": [{"dataset": "digits", "label": "LSP", "method": "lsp", "runs": [{"seed": 0, "name": "lsp",
                          "outcomes": {"clean": {"path": "digits/lsp-outcomes.parquet", "attack": "clean"}}}]}]}]}' \
    --root . --out tables --manifest tables/report.json"""


def main(argv: list[str] | None = None) -> None:
    """Read what the plans name, write `report.html` and the manifest; missing files are named, never fatal."""
    cli = parser("tables.report", __doc__ or "", Report, EXAMPLE, gpu=False)
    cli.add_argument("--root", type=Path, required=True, help="what the paths are relative to")
    cli.add_argument("--out", type=Path, required=True, help="the folder that report.html goes to")
    gone.add_argument(cli)
    args = cli.parse_args(argv)
    with one_line_errors():
        report = load_settings(args.settings, Report)
        limit_threads(args.threads)
        inputs = {path: args.root / path for path in report.files()}
        output = args.out / "report.html"
        with recorded(
            Job(
                args.manifest,
                modules=["stages.tables.report.__main__"],
                settings=report.model_dump(mode="json"),
                inputs=inputs | {"paper.csv": PAPER} | {path.name: path for path in PAGE},
                outputs={"report": output},
                seed=0,
                device=None,
            )
        ) as facts:
            note = " ".join(filter(None, (report.note, *gone.gone_notes(args.gone))))
            write_text(output, document(report.model_copy(update={"note": note}), args.root))
            facts["missing"] = [path for path, file in inputs.items() if not file.is_file()]
            facts["gone"] = args.gone
        for path in facts["missing"]:
            log_line(f"report: missing {path}")


if __name__ == "__main__":
    main()
