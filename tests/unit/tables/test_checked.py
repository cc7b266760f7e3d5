"""Tables read nothing unchecked: what differs from its manifest is a gap, and a damaged manifest is no source."""

import ast
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stages.core.config.table_plan import Plan, Run
from stages.core.files import sha256_file, write_json
from stages.core.manifests import read_manifest, write_manifest
from stages.core.parquet import write_table
from stages.tables.best_on_test import best_on_test_notes
from stages.tables.cells import score
from stages.tables.certificates import read_certificate
from stages.tables.curves import read_history
from stages.tables.lipschitz import kept_lsp_loss
from stages.tables.report.read import Claims, Manifest, read
from stages.tables.verdicts import MissingRun
from tests.conftest import ROOT
from tests.unit.tables.small_tables import first, plan, row, run, write_verdicts

FLIPS = 42
AT_ONCE = {"stages/tables/report/page.py", "stages/tables/show.py", "stages/tables/claims/__main__.py"}
OWN = {"stages/tables/assumptions.py", "stages/tables/paper.py", "stages/tables/answers.py"}


def tell(folder: Path, *names: str, manifest: str = "manifest.json", **facts: Any) -> None:
    """The manifest of some files in a folder."""
    outputs = {name: {"path": f"results/{name}", "sha256": sha256_file(folder / name)} for name in names}
    write_manifest(folder / manifest, {"outputs": outputs, "facts": facts})


def flipped(path: Path) -> list[bytes]:
    """The file with one bit changed, in each of FLIPS places from its first byte to its last."""
    content = path.read_bytes()
    places = [place * (len(content) - 1) // (FLIPS - 1) for place in range(FLIPS)]
    return [content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :] for at in places]


def seen(path: Path, is_gap: Callable[[], bool]) -> None:
    """Every flip is seen, its date as it was, and the sound file is none."""
    status, sound = path.stat(), path.read_bytes()
    assert not is_gap()
    for content in flipped(path):
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert is_gap()
    path.write_bytes(sound)
    assert not is_gap()


@pytest.mark.parametrize("name", ["a.parquet", "a.json"])
def test_every_flip_in_outcomes_or_their_manifest_is_a_gap_of_their_cells(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "attack"
    write_verdicts(folder / "a.parquet", {"clean-1a2b": first(9, 10), "pgd-1a2b": first(4, 10)})
    tell(folder, "a.parquet", manifest="a.json")
    told = Plan.model_validate(plan([row("LSP", [run("a")])]))
    seen(folder / name, lambda: all(cell.accuracy is None for cell in score(told, tmp_path, {})))


@pytest.mark.parametrize("name", ["history.parquet", "manifest.json"])
def test_every_flip_in_a_history_or_its_manifest_is_a_run_without_curves(tmp_path: Path, name: str) -> None:
    losses = {"epoch": [1, 2], "objective_loss": [2.0, 1.0], "lsp_loss": [0.2, 0.1]}
    write_table(tmp_path / "history.parquet", pa.table(losses))
    tell(tmp_path, "history.parquet", selected_epoch=2)
    trained = Run(seed=0, name="a", history="history.parquet")
    seen(tmp_path / name, lambda: isinstance(read_history(trained, tmp_path), MissingRun))
    seen(tmp_path / name, lambda: kept_lsp_loss(trained, tmp_path / "manifest.json", tmp_path) is None)


def test_every_flip_in_a_manifest_leaves_its_figures_for_parity_out(tmp_path: Path) -> None:
    attack = {"norm": "linf", "epsilon": 0.1, "step_size": 0.05, "steps": 2}
    best = {"epoch": 1, "clean": 0.9, "pgd": 0.4, "n": 10, "subset": "all", "attack": attack}
    tell(tmp_path, test_selected=best)
    write_verdicts(tmp_path / "attack/a.parquet", {"clean-1a2b": first(9, 10), "pgd-1a2b": first(4, 10)})
    settings = {"kind": "pgd", "epsilon": 0.1, "options": {"steps": 2, "step_size": 0.05}}
    columns = [{"attack": "pgd", "label": "PGD", "settings": settings}]
    told = Plan.model_validate(plan([row("LSP", [{**run("a"), "test_selected": "manifest.json"}])], columns=columns))
    cells = score(told, tmp_path, {})
    seen(tmp_path / "manifest.json", lambda: best_on_test_notes(told, cells, tmp_path) == [])


@pytest.mark.parametrize("name", ["found.json", "manifest.json"])
@pytest.mark.parametrize("what", ["certificate", "claims"])
def test_every_flip_in_a_certificate_in_claims_or_their_manifest_is_one_that_is_missing(
    tmp_path: Path, what: str, name: str
) -> None:
    keys = ("verdict", "epsilon", "images", "accuracies", "transferred", "checks")
    write_json(tmp_path / "found.json", {"claims": [], **dict.fromkeys(keys)})
    tell(tmp_path, "found.json")
    readers: dict[str, Callable[[], Any]] = {
        "certificate": lambda: read_certificate(tmp_path / "found.json"),
        "claims": lambda: read(tmp_path / "found.json", Claims),
    }
    seen(tmp_path / name, lambda: readers[what]() is None)


def test_every_flip_in_a_manifest_that_the_report_reads_is_one_that_is_missing(tmp_path: Path) -> None:
    tell(tmp_path, selected_epoch=3)
    seen(tmp_path / "manifest.json", lambda: read(tmp_path / "manifest.json", Manifest, read_manifest) is None)


def test_no_table_opens_a_file_but_by_a_reader_that_checks_it() -> None:
    opening = set()
    for path in sorted((ROOT / "stages/tables").rglob("*.py")):
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        if names & {"read_text", "read_bytes", "open", "load", "safe_open"} - {"load_settings"}:
            opening.add(path.relative_to(ROOT).as_posix())
    assert opening == AT_ONCE | OWN
