"""The schemas in docs/architecture.md are those of the files that a finished experiment holds."""

import csv
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors

from tests.conftest import ROOT, Project

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
CELLS = re.compile(r"^\| `([^`]+)` \| (.+?) \|(?: (.+?) \|)?$", re.MULTILINE)
HEADED = re.compile(r"^### `([^`]+)`\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
SCHEMAS = {pattern: CELLS.findall(body) for pattern, body in HEADED.findall(PAGE)}


def written(path: Path) -> dict[str, str]:
    """Name -> type of what a file holds, as the page spells them."""
    if path.suffix == ".csv":
        with path.open(newline="") as stream:
            return dict.fromkeys(next(csv.reader(stream)), "")
    if path.suffix == ".parquet":
        return {field.name: _spelled(field.type) for field in pq.read_schema(path)}
    with safetensors.safe_open(path, framework="pt") as stream:
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118, not a dict
        header = json.loads(stream.metadata()["artifact"])
    types = {name: f"{tensor.dtype} of {tensor.ndim}".removeprefix("torch.") for name, tensor in tensors.items()}
    return {**types, **{f"header {key}": value for key, value in header.items() if not key.endswith("sha256")}}


def _spelled(kind: pa.DataType) -> str:
    return f"{kind.value_type}[]" if pa.types.is_fixed_size_list(kind) else str(kind)


@pytest.mark.parametrize("pattern", SCHEMAS)
def test_a_documented_schema_is_the_written_one(finished: Project, pattern: str) -> None:
    files = sorted(finished.root.glob(pattern))
    assert files
    documented = {name: kind for name, kind, _ in SCHEMAS[pattern]}
    always = {name for name, _, what in SCHEMAS[pattern] if not what.startswith("where ")}
    for path in files:
        found = written(path)
        if "*" in documented:
            architecture = json.loads(found["header architecture"])
            (said,) = [what for name, _, what in SCHEMAS[pattern] if name == "header architecture"]
            assert set(re.findall(r"`(\w+)`", said)) == set(architecture)
            assert {kind.partition(" ")[0] for kind in found.values() if " of " in kind} <= {"float32", "int64"}
            continue
        assert always <= set(found) <= set(documented), path
        for name, kind in found.items():
            if path.suffix == ".parquet":
                assert kind == re.sub(r"\[\w+\]", "[]", documented[name]), f"{path}: {name}"
            elif not name.startswith("header") and path.suffix == ".safetensors":
                dtype, shape = documented[name].split(" ", 1)
                assert kind == f"{dtype} of {shape.count(',') + 1}", f"{path}: {name}"


def test_every_table_and_tensor_file_of_a_finished_experiment_has_a_schema(finished: Project) -> None:
    covered = {path for pattern in SCHEMAS for path in finished.root.glob(pattern)}
    made = {
        path for ending in ("parquet", "safetensors", "csv") for path in finished.root.glob(f"results/**/*.{ending}")
    }
    assert made == covered


def test_a_manifest_has_the_documented_keys(finished: Project) -> None:
    (section,) = re.findall(r"^## Manifests\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    keys = {name for name, *_ in CELLS.findall(section)}
    written = finished.root.glob("results/[!r]*/**/*.json")
    paths = [path for path in written if path.name not in ("report.json", "claims.json")]
    assert len(paths) > 10
    for path in paths:
        assert set(json.loads(path.read_text())) == keys, path
