"""The report of the whole paper, three seeds of 10,000 images a cell, is made in a minute and stays small."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import EXPERIMENTS, ROOT
from tests.reporting import make_up, planned

SECONDS, MEMORY, SIZE = 60, 2e9, 5e6


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_papers_report_takes_a_minute_two_gigabytes_and_five_megabytes_at_most(tmp_path: Path) -> None:
    report = planned(tmp_path, EXPERIMENTS / "paper.yaml", seeds=[0, 1, 2])
    tables = [plan for plan in report.plans if plan.kind == "table"]
    assert sum(len(plan.rows) * len(plan.columns) for plan in tables) == 239
    make_up(report, tmp_path, images=10_000, epochs=100, anchors=3, names=())
    settings, out = tmp_path / "settings.json", tmp_path / report.place
    settings.write_text(report.model_dump_json(exclude_unset=True), encoding="utf-8")
    words = ["-m", "stages.tables.report", "--settings", f"@{settings}", "--root", str(tmp_path), "--out", str(out)]
    words += ["--manifest", str(out / "report.json")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Linux lets a process start with the peak memory of the one that started it: here a shell's, not this one's.
    shell = ["sh", "-c", '"$@"; exit $?', "sh"]
    subprocess.run([*shell, sys.executable, *words], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = json.loads((out / "report.json").read_text())["peak_memory_bytes"]["host"]
    size = (out / "report.html").stat().st_size
    print(f"{spent:.1f} s, {peak / 1e9:.2f} GB, {size / 1e6:.2f} MB")
    assert spent < SECONDS  # of the processor, for others may have it too
    assert peak < MEMORY
    assert size < SIZE
