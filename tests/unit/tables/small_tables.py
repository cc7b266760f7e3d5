"""Small tables for the tests: outcomes with given verdicts, plans that show them, and the stage run as a process."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.core.outcomes import write_outcomes
from stages.tables.__main__ import main


def write_verdicts(path: Path, verdicts: dict[str, list[bool]], index: dict[str, list[int]] | None = None) -> None:
    """Outcomes of each attack id: a robust image keeps its label, another is taken for the next class.

    index: where an attack's images stand in the test set; from 0 on where it is not told.
    """
    tables = []
    for attack, robust in verdicts.items():
        n = len(robust)
        labels = np.arange(n) % 10
        predictions = np.where(robust, labels, (labels + 1) % 10)
        places = (index or {}).get(attack, list(range(n)))
        columns = [[attack] * n, places, labels, predictions, predictions, robust, np.zeros(n), np.zeros(n)]
        tables.append(pa.table(columns, names=NAMES).cast(SCHEMA))
    write_outcomes(path, pa.concat_tables(tables))


NAMES = ["attack", "index", "label", "clean_prediction", "adversarial_prediction", "robust", "linf", "l2"]
TYPES = [pa.string(), *[pa.int64()] * 4, pa.bool_(), pa.float32(), pa.float32()]
SCHEMA = pa.schema(list(zip(NAMES, TYPES, strict=True)))


def first(count: int, n: int) -> list[bool]:
    return [i < count for i in range(n)]


def run(name: str, seed: int = 0, attacks: tuple[str, ...] = ("clean", "pgd")) -> dict:
    outcomes = {attack: {"path": f"attack/{name}.parquet", "attack": f"{attack}-1a2b"} for attack in attacks}
    return {"seed": seed, "name": name, "outcomes": outcomes}


def row(label: str, runs: list[dict], **more: object) -> dict:
    return {"dataset": "digits", "dataset_title": "Digits", "label": label, "method": "lsp", "runs": runs} | more


def plan(rows: list[dict], **more: object) -> dict:
    columns = [{"attack": "clean", "label": "Clean"}, {"attack": "pgd", "label": "PGD"}]
    return {"experiment": "x", "table": "table1", "title": "T", "columns": columns, "rows": rows} | more


def build(root: Path, value: dict) -> list[dict[str, str]]:
    """Run the stage as a process would and return its CSV's lines."""
    manifest = root / "out" / "manifest.json"
    places = ["--root", str(root), "--out", str(root / "out"), "--manifest", str(manifest), "--device", "cpu"]
    main(["--settings", json.dumps(value), *places])
    with (root / "out" / f"{value['table']}.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
