"""A run that breaks, is killed or reads a broken file leaves no half-made output and stops no other run."""

import json
import re
from importlib import import_module
from pathlib import Path

import pytest

from stages.core.artifacts import read_images, read_structure, read_weights
from stages.core.outcomes import read_outcomes
from tests.conftest import Project
from tests.unit.refusing import refusal

BROKEN = '''"""An objective that fails."""

from stages.core.errors import DivergenceError
from stages.core.config.quantities import NonNegative

ADVERSARIAL = False


def broken(model, batch, context, *, weight: NonNegative = 1.0):
    """Raise."""
    raise DivergenceError("the loss is not finite; lower lr")
'''
WITH_A_BROKEN_RUN = """
methods: {broken: {objective: broken}}
tables:
  table1: null
  table2: {title: Other}
  table3: {datasets: [digits], methods: [vanilla, broken], attacks: [clean]}
"""


def test_a_failing_run_stops_no_other_table_and_its_own_comes_with_a_dash(project: Project) -> None:
    (project.root / "stages/train/objectives/broken.py").write_text(BROKEN)
    done = project.snakemake(overlay=WITH_A_BROKEN_RUN)
    assert done.returncode != 0
    tables = project.only("tables/tiny/overlay-*/table2.json").parent
    assert "error: the loss is not finite; lower lr" in done.stdout
    assert json.loads((tables / "table2.json").read_text())["settings"]["title"] == "Other"
    assert not list((project.root / "results/train").glob("*/broken*/seed0/*"))
    assert not (tables / "table3.csv").exists()
    told = project.command("python", "-m", "workflow.commands.tables", *project.configfiles(WITH_A_BROKEN_RUN))
    assert told.returncode == 0, told.stdout
    assert re.search(r"^digits,broken,Clean,,.*broken-", (tables / "table3.csv").read_text(), re.MULTILINE)
    assert re.search(r"^digits,Vanilla,Clean,\d", (tables / "table3.csv").read_text(), re.MULTILINE)


def arguments(project: Project, stage: str, pattern: str, out: Path) -> list[str]:
    """The command line that made a finished run, with its outputs below `out`."""
    record = project.manifest(pattern)
    outputs = {name: out / f"{name}.out" for name in record["outputs"]}
    paths = {name: project.root / entry["path"] for name, entry in record["inputs"].items()} | outputs
    words = ["--settings", json.dumps(record["settings"]), "--manifest", str(out / "manifest.json")]
    words += [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    return [*words, "--resume", str(out / "resume")] if stage in ("train", "attack") else words


BROKEN_FILES = [
    ("structure", "structure/*/manifest.json", "neighbors/*/neighbors.parquet"),
    ("structure", "structure/*/manifest.json", "features/*/embeddings.parquet"),
    ("train", "train/digits/lsp-*/seed0/manifest.json", "data/*/train.safetensors"),
    ("train", "train/digits/lsp-*/seed0/manifest.json", "structure/*/structure.parquet"),
    ("attack", "attack/digits/trades-*/seed0/*.json", "train/digits/trades-*/seed0/model.safetensors"),
]


@pytest.mark.parametrize("damage", ["truncated", "altered", "absent"])
@pytest.mark.parametrize(("stage", "pattern", "victim"), BROKEN_FILES)
def test_a_broken_input_is_one_line_and_no_output(
    project: Project,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stage: str,
    pattern: str,
    victim: str,
    damage: str,
) -> None:
    words = arguments(project, stage, pattern, tmp_path / "out")
    path = project.only(victim)
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) * 2 // 3])
    elif damage == "altered":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :])
    else:
        path.unlink()
    assert path.name in refusal(capsys, import_module(f"stages.{stage}.__main__").main, words)[-1]
    assert {path.name for path in (tmp_path / "out").glob("*")} <= {"resume"}
    assert not list((tmp_path / "out").glob("resume/*"))


def test_the_undamaged_files_of_these_faults_are_readable(finished: Project) -> None:
    assert len(read_images(finished.only("data/*/train.safetensors")).labels) == 200
    assert read_structure(finished.only("structure/*/structure.parquet")).vectors.shape == (200, 4)
    assert read_weights(finished.only("train/digits/trades-*/seed0/model.safetensors"))[0]
    assert len(read_outcomes(finished.only("attack/digits/trades-*/seed0/*.parquet"))) == 48
