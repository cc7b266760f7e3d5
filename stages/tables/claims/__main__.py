"""`python -m stages.tables.claims`: whether the paper's claims, and users' own, hold on an experiment's outcomes.

The claims stand in claims.yaml, what is asked of each in asked.py, the tests in evidence.py, the answers in judge.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, TypeAdapter

from stages.core.config.claims import Claim
from stages.core.config.section import Name, Section
from stages.core.config.table_plan import Plan
from stages.core.files import write_json, write_text
from stages.core.host import limit_threads
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.tables.claims.blocks import published_blocks
from stages.tables.claims.judge import Judged, answer_all, gather
from stages.tables.claims.listed import CSV_HEAD, csv_lines, record
from stages.tables.claims.measured import measured_blocks
from stages.tables.claims.paper import on_paper
from stages.tables.listing import csv_text
from stages.tables.paper import PAPER, read_paper

CATALOG = Path(__file__).parents[1] / "claims.yaml"
NO_NUMBERS: Mapping[str, Any] = {"answer": None, "asked": 0, "against": []}
EXAMPLE = r"""\
    --settings '{"experiment": "mine", "plans": [{"experiment": "mine", "table": "table1", "title": "Digits",
                "columns": [{"attack": "fgsm", "label": "FGSM"}],
                "rows": [{"dataset": "digits", "label": "LSP", "method": "lsp", "runs": [{"seed": 0, "name": "lsp",
                          "outcomes": {"fgsm": {"path": "digits/lsp-outcomes.parquet", "attack": "fgsm"}}}]},
                         {"dataset": "digits", "label": "AT", "method": "at", "runs": [{"seed": 0, "name": "at",
                          "outcomes": {"fgsm": {"path": "digits/at-outcomes.parquet", "attack": "fgsm"}}}]}]}],
                "claims": {"lsp-beats-at": {"kind": "higher", "text": "LSP is above AT.", "table": "table1",
                           "better": ["LSP"], "than": ["AT"], "columns": ["FGSM"]}}}' \
    --root . --out tables --manifest tables/claims-manifest.json"""


class Claims(Section):
    """The tables that claims are judged by, and claims besides the paper's."""

    experiment: str
    plans: tuple[Plan, ...] = Field(min_length=1)
    claims: dict[Name, Claim] = Field(
        default_factory=dict, description="claims besides the paper's, written as those of a config"
    )


def main(argv: list[str] | None = None) -> None:
    """Read outcomes and histories, write `claims.csv`, `claims.json` and the manifest; missing files are named."""
    cli = parser("tables.claims", __doc__ or "", Claims, EXAMPLE, gpu=False)
    cli.add_argument("--root", type=Path, required=True, help="what the plans' paths are relative to")
    cli.add_argument("--out", type=Path, required=True, help="the folder that claims.csv and claims.json go to")
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, Claims)
        limit_threads(args.threads)
        outputs = {"csv": args.out / "claims.csv", "json": args.out / "claims.json"}
        files = [path for plan in settings.plans for path in _read(plan)]
        with recorded(
            Job(
                args.manifest,
                modules=["stages.tables.claims.__main__"],
                settings=settings.model_dump(mode="json"),
                inputs={path: args.root / path for path in files} | {"paper.csv": PAPER, CATALOG.name: CATALOG},
                outputs=outputs,
                seed=0,
                device=None,
            )
        ) as facts:
            claims = judge(settings, args.root)
            listed = record(settings.experiment, claims)
            write_json(outputs["json"], listed)
            write_text(outputs["csv"], csv_text(CSV_HEAD, csv_lines(listed)))
            facts["missing"] = list(dict.fromkeys(gap for judged in claims for gap in judged.missing))
        for name in facts["missing"]:
            log_line(f"claims: missing {name}")


def _read(plan: Plan) -> list[str]:
    return plan.outcomes() if plan.kind == "table" else plan.files()


def read_claims(path: Path = CATALOG) -> dict[str, Claim]:
    """The claims of a YAML file by name."""
    return TypeAdapter(dict[Name, Claim]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))


def judge(settings: Claims, root: Path) -> list[Judged]:
    """The paper's claims, then users' own, answered."""
    blocks, published = measured_blocks(settings.plans, root), published_blocks(read_paper())
    paper: Mapping[str, Claim] = read_claims()
    claims = [
        *(gather(name, one, blocks, own=False, paper=on_paper(one, published)) for name, one in paper.items()),
        *(gather(name, one, blocks, own=True, paper=NO_NUMBERS) for name, one in settings.claims.items()),
    ]
    return answer_all(claims)


if __name__ == "__main__":
    main()
