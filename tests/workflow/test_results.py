"""What a finished experiment leaves behind: manifests, a chain of checksums, tables that follow from the outcomes."""

import csv
import json
import platform
from typing import Any

import pyarrow.compute as pc
import pytest

from stages.core.code import code_digest
from stages.core.files import sha256_file
from stages.core.outcomes import read_outcomes
from tests.conftest import ROOT, TINY, Project
from workflow.commands.accept import PlannedJob, planned_jobs
from workflow.planning.jobs import Plan
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan


def plan_of(project: Project) -> Plan:
    return make_plan(load_experiment([TINY], ROOT / "config.yaml"), project.root / "results")


def manifests(project: Project) -> dict[PlannedJob, Any]:
    return {
        planned: json.loads((project.root / planned.manifest).read_text()) for planned in planned_jobs(plan_of(project))
    }


def test_every_manifest_says_what_made_its_outputs_and_at_what_cost(finished: Project) -> None:
    found = manifests(finished)
    assert len(found) == 6 + 3 + 3 + 1 + 2 + 4
    for planned, record in found.items():
        assert record["code_digests"] == [code_digest(planned.job.modules)], planned.name
        assert record["settings"], planned.name
        assert record["seed"] == 0
        assert record["device"], planned.name
        assert record["versions"]["python"] == platform.python_version()
        assert {"torch", "numpy", "pyarrow"} <= record["versions"].keys()
        assert record["seconds"] > 0
        assert record["peak_memory_bytes"]


def test_a_manifests_settings_are_the_planned_ones(finished: Project) -> None:
    plan, found = plan_of(finished), {planned.name: record for planned, record in manifests(finished).items()}
    for stage, jobs in (("structure", plan.structure), ("train", plan.train), ("attack", plan.attack)):
        for key, job in jobs.items():
            assert found[f"{stage} {key}"]["settings"] == json.loads(job.settings)


def test_every_input_hash_is_the_output_hash_of_the_stage_before(finished: Project) -> None:
    written: dict[str, str] = {}
    checked = 0
    for planned, record in manifests(finished).items():
        for entry in record["inputs"].values():
            if entry["path"].startswith("results/"):
                assert entry["sha256"] == written[entry["path"]], planned.name
                checked += 1
        for entry in record["outputs"].values():
            written[entry["path"]] = entry["sha256"] = sha256_file(finished.root / entry["path"])
        written[planned.manifest] = sha256_file(finished.root / planned.manifest)
    assert checked > 20


def test_every_recorded_output_hash_is_the_files(finished: Project) -> None:
    for record in manifests(finished).values():
        for entry in record["outputs"].values():
            assert entry["sha256"] == sha256_file(finished.root / entry["path"])


def test_every_cell_is_its_outcomes_share_of_robust_images(finished: Project) -> None:
    plan = plan_of(finished)
    for name, table in ((name, job.plan) for name, job in plan.tables.items()):
        with (finished.root / f"results/tables/tiny/{name}.csv").open(newline="") as stream:
            shown = {(line["row"], line["column"]): line for line in csv.DictReader(stream)}
        assert len(shown) == len(table.rows) * len(table.columns)
        for row in table.rows:
            for column in table.columns:
                outcome = row.runs[0].outcomes[column.attack]
                outcomes = read_outcomes(finished.root / outcome.path)
                robust = outcomes.filter(pc.equal(outcomes["attack"], outcome.attack))["robust"].to_pylist()
                line = shown[row.label, column.label]
                assert int(line["n"]) == len(robust) == 24
                assert float(line["accuracy"]) == pytest.approx(100 * sum(robust) / len(robust), abs=0.005)


def test_git_sees_nothing_that_a_run_makes(project: Project) -> None:
    made = {path.name for path in project.root.iterdir()}
    assert {"results", "logs", ".snakemake"} <= made
    assert project.command("git", "init", "--quiet").returncode == 0
    seen = project.command("git", "ls-files", "--others", "--exclude-standard").stdout.splitlines()
    assert {path.split("/")[0] for path in seen} == made - {"results", "logs", ".snakemake", ".git"}


def test_status_counts_the_done_and_names_the_missing(project: Project) -> None:
    words = ("python", "-m", "workflow.commands.status", *project.configfiles())
    assert "missing" not in project.command(*words).stdout
    lost = project.only("train/digits/trades-*/seed0/model.safetensors")
    lost.unlink()
    said = project.command(*words).stdout
    assert "2 done, 1 started" in said
    assert f"started  train digits/{lost.parent.parent.name}/seed0" in said


def test_tables_come_from_what_is_there_and_name_what_is_missing(project: Project) -> None:
    lost = project.only("attack/digits/lsp-*/seed0/*.parquet")
    lost.unlink()
    whole = (project.root / "results/tables/tiny/table1.csv").read_bytes()
    done = project.command("python", "-m", "workflow.commands.tables", *project.configfiles("tables: {table2: null}"))
    assert done.returncode == 0, done.stdout
    assert lost.parent.parent.name in done.stdout
    assert (project.root / "results/tables/tiny/table1.csv").read_bytes() == whole
    with project.only("tables/tiny/overlay-*/table1.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert {line["row"] for line in lines if line["missing"]} == {"LSP"}
    assert {line["row"] for line in lines if line["accuracy"]} == {"Vanilla", "TRADES"}
