"""Damaged and deleted files, mended by doing what the messages say and nothing else: the tables are as they were."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, Project

COMMAND = re.compile(r"`(make verify[^`]*)`")
TABLES = ("table1.csv", "table1.tex", "table1.txt", "table2.csv", "table2.tex", "comparisons.csv", "claims.json")


@pytest.fixture
def project(project: Project) -> Project:
    """Without what jobs finished a moment ago and would be taken for a minute or two (stages/core/job/once.py)."""
    shutil.rmtree(project.root / "results/resume")
    return project


def flip(path: Path, *, keep_date: bool) -> None:
    """One bit of a file."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if keep_date:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def tables(project: Project) -> dict[str, bytes]:
    return {name: (project.root / "results/tables/tiny" / name).read_bytes() for name in TABLES}


def outcomes(project: Project) -> dict[Path, tuple[int, bytes]]:
    """Every file of outcomes: which it is on the disk, and what it holds."""
    files = sorted((project.root / "results/attack").rglob("*.parquet"))
    assert len(files) == 3
    return {path: (path.stat().st_ino, path.read_bytes()) for path in files}


def follow(project: Project, said: str) -> str:
    """Do what a message says, the environment being there; what that says."""
    shutil.copy2(ROOT / "Makefile", project.root)
    (command,) = set(COMMAND.findall(said))
    done = project.command("make", "-o", ".venv/.installed", *shlex.split(command)[1:])
    assert done.returncode == (0 if "REPAIR=1" in command else 2), done.stdout
    return done.stdout


def run(project: Project, *jobs: str) -> str:
    """A run in which these jobs and no others are done; what it says."""
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    ran = re.findall(r"^(?:local)?rule (?!all)(\w+):$", done.stdout, re.MULTILINE)
    assert sorted(ran) == sorted(jobs), done.stdout
    return done.stdout


def whole(project: Project) -> None:
    """Nothing is listed any more."""
    said = project.command("python", "-m", "workflow.commands.verify", *project.configfiles())
    assert said.returncode == 0, said.stdout
    assert ": 0 damaged, 0 missing, 0 stale" in said.stdout


def test_a_flipped_bit_is_found_before_anything_is_deleted_and_healed_by_what_the_messages_say(
    project: Project,
) -> None:
    before, attacked = tables(project), outcomes(project)
    model = project.only("train/digits/trades-*/seed0/model.safetensors")
    sound = model.read_bytes()
    flip(model, keep_date=False)
    for words in (("--dry-run",), ()):
        refused = project.snakemake(*words)
        assert refused.returncode == 1
        assert refused.stdout.splitlines()[1:] == [
            f"error: {model.relative_to(project.root)}: differs from its manifest; `make verify CONFIG=tiny.yaml"
            " REPAIR=1` removes what is damaged, and the next run makes it again"
        ]
    assert "the next run makes 1 files again" in follow(project, refused.stdout)
    assert not model.exists()
    told = run(project, "train")
    assert model.read_bytes() == sound
    assert "report: made from files that came out otherwise this time; run again for them" in told  # how long it took
    run(project, "report")
    whole(project)
    assert (tables(project), outcomes(project)) == (before, attacked)


def test_what_no_date_tells_and_what_was_deleted_is_found_by_verify_named_and_healed(project: Project) -> None:
    before, attacked = tables(project), outcomes(project)
    structure = project.only("structure/*/structure.parquet")
    model = project.only("train/digits/lsp-*/seed0/model.safetensors")
    flip(structure, keep_date=True)
    run(project)
    model.unlink()
    told = run(project, "report", "table")  # which now say so; a plain run makes no model again
    assert "model.safetensors is gone, and finished results rest on that; `make verify CONFIG=tiny.yaml`" in told
    assert "Made while files that it rests on were gone" in tables(project)["table1.txt"].decode()
    assert not model.exists()
    told = follow(project, told)
    assert f"missing  {model.relative_to(project.root)}" in told
    assert f"damaged  {structure.relative_to(project.root)}" in told
    follow(project, told)
    run(project, "structure", "table", "train")
    run(project, "report")
    whole(project)
    assert (tables(project), outcomes(project)) == (before, attacked)


def test_a_damaged_manifest_of_outcomes_is_made_again_with_them_and_changes_no_table(project: Project) -> None:
    before = tables(project)
    flip(project.only("attack/digits/lsp-*/seed0/*.json"), keep_date=True)
    said = project.command("python", "-m", "workflow.commands.verify", *project.configfiles())
    follow(project, said.stdout)
    run(project, "attack")
    whole(project)
    assert tables(project) == before
