"""`python -m stages.tables.lipschitz`: Section 3.3 over an experiment's checkpoints, a line each, and correlations.

The paper argues that a small LSP loss bounds L_x, and a small L_x makes robust. So over the checkpoints of a data set
Spearman's rank correlation of the LSP loss with the mean L_x, and of the mean L_x with the robust accuracy.
"""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from pydantic import Field

from stages.core.config.section import Section
from stages.core.config.table_plan import Column, Run
from stages.core.errors import ArtifactError
from stages.core.files import write_json, write_text
from stages.core.host import limit_threads
from stages.core.job.progress import log_line
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from stages.core.lipschitz import read_lipschitz, summary
from stages.core.manifests import read_manifest
from stages.core.outcomes import read_outcomes
from stages.tables.cells import wilson
from stages.tables.correlation import spearman
from stages.tables.curves import read_history
from stages.tables.listing import csv_text
from stages.tables.verdicts import MissingRun, read_verdicts

CSV_HEAD = (
    *("dataset", "row", "seed", "n", "lipschitz", "lipschitz_low", "lipschitz_high", "lipschitz_median"),
    *("radius", "radius_low", "radius_high", "broken", "broken_low", "broken_high"),
    *("lsp_loss", "attack", "robust_accuracy"),
)
PAIRS = (("lsp_loss", "lipschitz"), ("lipschitz", "robust_accuracy"))
EXAMPLE = r"""\
    --settings '{"checkpoints": [{"dataset": "Digits", "row": "LSP", "path": "digits/lsp-lipschitz.parquet",
                "run": {"seed": 0, "name": "lsp"}}]}' \
    --root . --out tables --manifest tables/lipschitz-manifest.json"""


class Checkpoint(Section):
    """A checkpoint that was measured."""

    dataset: str
    row: str
    path: str = Field(description="Parquet file of the stage lipschitz")
    run: Run = Field(description="its seed, its history, and its outcomes under the attack")
    trained: str | None = Field(None, description="manifest that names the kept epoch; null: no history is read")
    attack: Column | None = Field(None, description="the attack of its robust accuracy; null: none")


class Measured(Section):
    """The checkpoints that are listed."""

    checkpoints: tuple[Checkpoint, ...] = Field(min_length=1)

    def files(self) -> list[str]:
        """Every file that is read, each once."""
        paths = [
            path
            for one in self.checkpoints
            for path in (one.path, one.trained, one.run.history, *(at.path for at in one.run.outcomes.values()))
            if path
        ]
        return list(dict.fromkeys(paths))


def main(argv: list[str] | None = None) -> None:
    """Write `lipschitz.csv`, `lipschitz.json` and the manifest; missing files are named, never fatal."""
    cli = parser("tables.lipschitz", __doc__ or "", Measured, EXAMPLE, gpu=False)
    cli.add_argument("--root", type=Path, required=True, help="what the paths are relative to")
    cli.add_argument("--out", type=Path, required=True, help="the folder that lipschitz.csv and .json go to")
    args = cli.parse_args(argv)
    with one_line_errors():
        settings = load_settings(args.settings, Measured)
        limit_threads(args.threads)
        outputs = {"csv": args.out / "lipschitz.csv", "json": args.out / "lipschitz.json"}
        with recorded(
            Job(
                args.manifest,
                modules=["stages.tables.lipschitz"],
                settings=settings.model_dump(mode="json"),
                inputs={path: args.root / path for path in settings.files()},
                outputs=outputs,
                seed=0,
                device=None,
            )
        ) as facts:
            read = [(one, line(one, args.root)) for one in settings.checkpoints]
            lines = [found for _, found in read if found is not None]
            write_text(outputs["csv"], csv_text(CSV_HEAD, [_cells(found) for found in lines]))
            write_json(outputs["json"], {"checkpoints": lines, "correlations": correlations(lines)})
            facts["missing"] = [one.path for one, found in read if found is None]


def line(one: Checkpoint, root: Path) -> dict[str, Any] | None:
    """A checkpoint's line, shares in percent; None, and a line why, where it is not measured."""
    try:
        found = summary(read_lipschitz(root / one.path))
    except ArtifactError as error:
        log_line(f"warning: {error}")
        return None
    n, broken = found["n"], found["broken"]
    told = {
        "dataset": one.dataset,
        "row": one.row,
        "seed": one.run.seed,
        "n": n,
        **_three("lipschitz", found["lipschitz"]),
        "lipschitz_median": found["median_lipschitz"],
        **_three("radius", found["radius"]),
        **_three("broken", [100 * broken / n, *wilson(broken, n)]),
        "lsp_loss": kept_lsp_loss(one.run, root / one.trained, root) if one.trained else None,
        **_robust(one, root),
    }
    return _rounded(told)


def kept_lsp_loss(run: Run, manifest: Path, root: Path) -> float | None:
    """The LSP loss at the end of the epoch that was kept; None, and a line why, where that is not on record."""
    history = read_history(run, root)
    try:
        epoch = read_manifest(manifest)["facts"]["selected_epoch"]
        loss = None if isinstance(history, MissingRun) else float(history["lsp_loss"].loc[epoch])
    except (ArtifactError, ValueError, KeyError, TypeError) as error:
        log_line(f"warning: {manifest}: names no kept epoch of the history ({type(error).__name__}: {error})")
        return None
    return loss if loss is not None and isfinite(loss) else None


def correlations(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each data set and pair, over the checkpoints that have both; an interval draws rows, with all their seeds."""
    found = []
    for dataset in dict.fromkeys(one["dataset"] for one in lines):
        for x, y in PAIRS:
            both = [one for one in lines if one["dataset"] == dataset and None not in (one[x], one[y])]
            rows = [one["row"] for one in both]
            told = _rounded(spearman([(one[x], one[y]) for one in both], rows))
            found.append({"dataset": dataset, "x": x, "y": y, "n": len(both), "rows": len(set(rows)), **told})
    return found


def _three(name: str, values: list[float | None]) -> dict[str, float | None]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _rounded(found: dict[str, Any]) -> dict[str, Any]:
    """Numbers to six digits, in which no two processors differ."""
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in found.items()}


def _robust(one: Checkpoint, root: Path) -> dict[str, Any]:
    """The attack's name and the accuracy under it in percent, where that is there."""
    if one.attack is None:
        return {"attack": "", "robust_accuracy": None}

    def read(path: str) -> Any:
        try:
            return read_outcomes(root / path)
        except ArtifactError as error:
            log_line(f"warning: {error}")
            return None

    found = read_verdicts(one.run, one.attack, read, root)
    accuracy = None if isinstance(found, MissingRun) else 100 * float(found.robust.mean())
    return {"attack": one.attack.label, "robust_accuracy": accuracy}


def _cells(found: Mapping[str, Any]) -> list[str]:
    values = (found[name] for name in CSV_HEAD)
    return ["" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]


if __name__ == "__main__":
    main()
