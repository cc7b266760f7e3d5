"""Published tables come out byte for byte the same from the published outcomes alone."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

PUBLISHED = ROOT / "results/published"


@pytest.mark.skipif(not any(PUBLISHED.glob("*/plans/*.json")), reason="results/published holds no experiment yet")
def test_the_committed_tables_are_what_the_committed_outcomes_give():
    command = [sys.executable, "-m", "workflow.published", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compared = list(PUBLISHED.glob("*/tables/comparisons.csv"))
    assert compared
    assert len(done.stdout.splitlines()) == len(list(PUBLISHED.glob("*/plans/*.json"))) + len(compared)


def test_publishing_keeps_all_that_the_tables_need_and_the_check_finds_a_changed_digit(project):
    published = project.root / "results/published"
    done = project.command("python", "-m", "workflow.publish", *project.configfiles("tables: {table1: null}"))
    assert done.returncode == 0, done.stdout
    for stage in ("data", "features", "structure", "train", "attack", "tables"):
        (project.root / "results" / stage).rename(project.root / "results" / f"{stage}-away")
    check = ("python", "-m", "workflow.published", "--check")
    done = project.command(*check)
    assert done.returncode == 0, done.stdout
    assert "tiny/table2: as committed" in done.stdout
    table = published / "tiny/tables/table2.csv"
    text = table.read_text()
    table.write_text(text.replace(",24,", ",25,", 1))
    done = project.command(*check)
    assert done.returncode == 1
    assert "table2.csv: differs from what its outcomes give" in done.stdout
