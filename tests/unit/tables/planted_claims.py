"""Outcomes planted so that it is known what is claimed truly of them, and the claims stage run as a process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.core.parquet import write_table
from stages.tables.claims.__main__ import main
from tests.unit.tables.small_tables import row, run, write_verdicts

COLUMNS = ("clean", "pgd")


def plant(root: Path, name: str, rates: dict[str, float], *, seeds: int = 1, n: int = 400, spread: float = 0.0) -> dict:
    """A row whose runs are right on these shares of n images, each seed on other ones and up to `spread` beside it."""
    generator = np.random.default_rng(sum(map(ord, name)))
    runs = []
    for seed in range(seeds):
        verdicts = {
            f"{attack}-1a2b": list(generator.random(n) < rate + spread * generator.uniform(-1, 1))
            for attack, rate in rates.items()
        }
        write_verdicts(root / f"attack/{name}-{seed}.parquet", verdicts)
        runs.append(run(f"{name}-{seed}", seed, tuple(rates)))
    return row(name, runs, method=name.lower())


def figure(root: Path, **losses: list[list[float]]) -> dict:
    """The plan of a figure: row -> the LSP loss of each seed over the epochs; the objective's falls."""
    rows = []
    for label, seeds in losses.items():
        runs = []
        for seed, values in enumerate(seeds):
            path = f"train/{label}-{seed}.parquet"
            epochs = np.arange(1, len(values) + 1)
            write_table(root / path, pa.table({"epoch": epochs, "objective_loss": 1 / epochs, "lsp_loss": values}))
            runs.append({"seed": seed, "name": f"{label}-{seed}", "history": path})
        rows.append(row(label, runs, method=label.lower()))
    return {"experiment": "x", "table": "figure3", "kind": "losses", "title": "F", "rows": rows}


def judge(root: Path, *plans: dict, **claims: dict) -> dict[str, dict[str, Any]]:
    """What claims.json says of these claims, by name; the paper's are among them."""
    settings = {"experiment": "x", "plans": plans, "claims": claims}
    places = ["--root", str(root), "--out", str(root / "out"), "--manifest", str(root / "out/claims-manifest.json")]
    main(["--settings", json.dumps(settings), *places, "--device", "cpu"])
    record = json.loads((root / "out/claims.json").read_text(encoding="utf-8"))
    return {one["name"]: one for one in record["claims"]}


def higher(better: str = "A", than: str = "B", **more: Any) -> dict:
    one = {"kind": "higher", "text": "t", "table": "table1", "better": [better], "than": [than], "columns": ["PGD"]}
    return one | more
