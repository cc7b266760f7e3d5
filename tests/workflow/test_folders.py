"""Where Snakemake is run from, where results go and what a folder is called change nothing."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.conftest import TINY, Project, checkout


@pytest.fixture(scope="module")
def braced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout in a folder whose name Snakemake could take for wildcards."""
    return checkout(tmp_path_factory.mktemp("places") / "a {run} of {it}")


def snakemake(project: Project, where: Path, *words: str) -> str:
    """Run Snakemake in a folder on the tiny experiment, which is named from there."""
    (where / "mine.yaml").write_bytes(TINY.read_bytes())
    done = subprocess.run(
        ["snakemake", "--cores", "1", *words, "--configfile", "mine.yaml"],
        cwd=where,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_a_checkout_with_braces_in_its_path_plans(braced: Project) -> None:
    assert "rule train:" in snakemake(braced, braced.root, "-n")


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_directory_is_where_results_go(braced: Project, tmp_path: Path) -> None:
    there = tmp_path / "there {x}"
    snakemake(braced, braced.root, "--directory", str(there), "--until", "data")
    assert list(there.glob("results/data/*/manifest.json"))
    assert not (braced.root / "results").exists()
    given = ("--configfile", "mine.yaml", "--directory", str(there))
    for name, told in (
        ("status", "  data       1 done\n"),
        ("preflight", "nothing stands in their way"),
        ("accept", "1 jobs stand under the present code"),
        ("verify", "0 damaged, 0 missing"),
        ("tables", "tables: results/tables/tiny/"),
    ):
        done = braced.command("python", "-m", f"workflow.commands.{name}", *given)
        assert done.returncode == 0, done.stdout
        assert told in done.stdout, name
    assert list(there.glob("results/tables/tiny/report.html"))
    (image_file,) = there.glob("results/data/*/train.safetensors")
    image_file.write_bytes(image_file.read_bytes()[:-1] + b"x")
    said = braced.command("python", "-m", "workflow.commands.verify", *given).stdout
    (line,) = re.findall(r"^`(make verify .*)` removes", said, re.MULTILINE)
    assert shlex.split(line) == ["make", "verify", "CONFIG=mine.yaml", f"DIRECTORY={there}", "REPAIR=1"]
    assert not (braced.root / "results").exists()


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_a_snakefile_elsewhere_runs_here(braced: Project, tmp_path: Path) -> None:
    snakemake(braced, tmp_path, "-s", str(braced.root / "Snakefile"), "--until", "data")
    assert list(tmp_path.glob("results/data/*/manifest.json"))
    assert not (braced.root / "results").exists()
