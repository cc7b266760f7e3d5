"""`python -m workflow.commands.accept`: finished runs stand under new code, and nothing else does."""

import os
import random
import shutil

from stages.core.manifests import read_manifest, write_manifest
from tests.conftest import Project

TRADES = "stages/train/objectives/trades.py"


def accept(project: Project) -> str:
    done = project.command("python", "-m", "workflow.commands.accept", *project.configfiles())
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_accepted_runs_need_no_rerun_and_keep_both_digests_until_the_next_edit(project: Project) -> None:
    (before,) = project.manifest("train/digits/trades-*/seed0/manifest.json")["code_digests"]
    project.append(TRADES, "\nEDITED = 1\n")
    assert project.planned() != []
    said = accept(project)
    assert "accepted train digits/trades-" in said
    assert "vanilla" not in said
    digests = project.manifest("train/digits/trades-*/seed0/manifest.json")["code_digests"]
    assert digests[0] == before
    assert len(set(digests)) == 2
    assert project.planned() == []
    project.append(TRADES, "\nAGAIN = 1\n")
    assert project.counted() == {"train": 1, "attack": 1, "pictures": 1, "table": 2}


def test_accepting_never_stands_in_for_a_missing_file(project: Project) -> None:
    project.only("attack/digits/trades-*/seed0/*.parquet").unlink()
    project.append(TRADES, "\nEDITED = 1\n")
    said = accept(project)
    assert "left     attack digits/trades-" in said
    assert "left     table table1" in said
    assert project.counted() == {"attack": 1, "table": 2}


def test_a_run_made_from_other_files_is_not_accepted_nor_what_follows_it(project: Project) -> None:
    manifest = project.only("neighbors/*/neighbors.json")
    record = read_manifest(manifest)
    record["outputs"]["neighbors"]["sha256"] = "0" * 64
    write_manifest(manifest, record)
    said = accept(project)
    assert "left     structure" in said
    assert "made from another results/neighbors/" in said
    assert "left     train digits/vanilla-" in said
    assert ", 0 are left" not in said


def test_results_that_were_copied_without_snakemakes_records_and_with_dates_a_day_off_need_no_rerun(
    project: Project,
) -> None:
    shutil.rmtree(project.root / ".snakemake")
    shift = random.Random(0)
    for path in sorted((project.root / "results").rglob("*")):
        if path.is_file():
            date = path.stat().st_mtime + shift.uniform(-86_400, 86_400)
            os.utime(path, (date, date))
    assert project.planned() != []
    assert "0 are left for snakemake" in accept(project)
    assert project.planned() == []
    project.append(TRADES, "\nEDITED = 1\n")
    assert project.counted() == {"train": 1, "attack": 1, "pictures": 1, "table": 2}


def test_a_copy_that_differs_from_its_manifest_is_not_accepted(project: Project) -> None:
    shutil.rmtree(project.root / ".snakemake")
    model = project.only("train/digits/trades-*/seed0/model.safetensors")
    model.write_bytes(model.read_bytes()[:-1] + b"?!")
    done = project.command("python", "-m", "workflow.commands.accept", *project.configfiles())
    assert done.returncode == 1
    assert "model.safetensors: differs from its manifest; `make verify CONFIG=tiny.yaml REPAIR=1`" in done.stdout
