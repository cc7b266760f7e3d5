"""Published tables come out byte for byte the same from the published outcomes and today's plans alone."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from stages.core.files import unpacked_json
from tests.conftest import ROOT, Project
from workflow.commands.publish import published_report, relative
from workflow.planning.assumptions import assumed
from workflow.planning.claims import own_claims
from workflow.planning.jobs import told
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan

PUBLISHED = ROOT / "results/published"


@pytest.mark.slow
@pytest.mark.skipif(not any(PUBLISHED.glob("*/plans/*.json")), reason="results/published holds no experiment yet")
def test_the_committed_tables_are_what_the_committed_outcomes_give() -> None:
    command = [sys.executable, "-m", "workflow.commands.republish", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compared = list(PUBLISHED.glob("*/tables/comparisons.csv"))
    judged = list(PUBLISHED.glob("*/tables/claims.json"))
    assert compared
    assert judged
    listed = [path for path in PUBLISHED.glob("*/plans/*.json") if path.stem != "claims"]
    assert len(done.stdout.splitlines()) == len(listed) + len(compared) + len(judged)


def test_no_published_report_holds_an_image() -> None:
    reports = list(PUBLISHED.glob("*/tables/report.html"))
    assert reports
    for report in reports:
        assert "data:image" not in report.read_text()
    assert not list(PUBLISHED.rglob("*.safetensors"))


@pytest.mark.parametrize("folder", [path.name for path in PUBLISHED.glob("*/") if (path / "plans").is_dir()])
def test_the_committed_plans_are_what_the_experiment_plans_today(folder: str) -> None:
    experiment = load_experiment([ROOT / f"workflow/experiments/{folder}.yaml"], ROOT / "config.yaml")
    plan = make_plan(experiment, PUBLISHED / folder)
    committed = {path.stem: json.loads(path.read_text()) for path in (PUBLISHED / folder / "plans").glob("*.json")}
    assert json.loads(json.dumps(assumed(experiment))) == committed.pop("assumptions")
    if listed := committed.pop("certificates", {}).get("certificates", []):
        assert {"certificates": listed} == relative(unpacked_json(plan.lists["certificates"].settings))
    assert bool(listed) == ("certificates" in plan.lists)
    if measured := committed.pop("lipschitz", {}):
        assert measured == relative(unpacked_json(plan.lists["lipschitz"].settings))
    assert bool(measured) == ("lipschitz" in plan.lists)
    assert own_claims(experiment) == committed.pop("claims", {"claims": {}})
    gaps = PUBLISHED / folder / "gaps.json"
    absent = set(json.loads(gaps.read_text()) if gaps.is_file() else ())
    assert not any((PUBLISHED / folder / path).exists() for path in absent)
    assert all((PUBLISHED / folder / one["path"]).is_file() for one in listed if one["path"] not in absent)
    assert committed.pop("report") == json.loads(json.dumps(published_report(plan)))
    assert committed == {name: relative(told(table.plan)) for name, table in plan.tables.items()}
    for table in committed.values():
        for run in (run for row in table["rows"] for run in row["runs"]):
            for path in {run["history"], *(cell["path"] for cell in run["outcomes"].values())} - absent:
                assert (PUBLISHED / folder / path).is_file()


def test_publishing_keeps_all_that_the_tables_need_and_the_check_finds_a_changed_digit(project: Project) -> None:
    done = project.command("python", "-m", "workflow.commands.publish", *project.configfiles())
    assert done.returncode == 0, done.stdout
    for stage in ("data", "features", "structure", "train", "attack", "tables"):
        (project.root / "results" / stage).rename(project.root / "results" / f"{stage}-away")
    check = ("python", "-m", "workflow.commands.republish", "--check")
    done = project.command(*check)
    assert done.returncode == 0, done.stdout
    assert "tiny/table2: as committed" in done.stdout
    table = project.root / "results/published/tiny/tables/table2.csv"
    text = table.read_text()
    table.write_text(text.replace(",24,", ",25,", 1))
    done = project.command(*check)
    assert done.returncode == 1
    assert "table2.csv: differs from what its outcomes give" in done.stdout
    table.write_text(text)
    plan = project.root / "results/published/tiny/plans/table2.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "title": 3}))
    done = project.command(*check)
    assert done.returncode == 1
    assert "error: title: Input should be a valid string (given: 3)" in done.stdout
    assert "Traceback" not in done.stdout


def test_what_is_not_made_yet_is_published_as_a_gap_if_that_is_asked_for(project: Project) -> None:
    publish = ("python", "-m", "workflow.commands.publish", *project.configfiles())
    assert project.command(*publish).returncode == 0
    outcomes = project.only("attack/digits/vanilla-*/seed0/attacks-*.parquet")
    outcomes.unlink()
    refused = project.command(*publish)
    assert refused.returncode == 1
    assert f"{outcomes.relative_to(project.root)}: not made yet (1 missing)" in refused.stdout
    folder = project.root / "results/published/tiny"
    absent = str(outcomes.relative_to(project.root / "results"))
    refused = project.command(*publish, "--so-far")
    assert refused.returncode == 1
    assert f"results/published/tiny/{absent}: published, and not among what is made so far (1 such" in refused.stdout
    (folder / absent).unlink()
    done = project.command(*publish, "--so-far")
    assert done.returncode == 0, done.stdout
    assert json.loads((folder / "gaps.json").read_text()) == [absent]
    assert "\n1 of the " in (folder / "README.md").read_text()
    assert "(a) vanilla-" in (folder / "tables/table1.txt").read_text()
    checked = project.command("python", "-m", "workflow.commands.republish", "--check")
    assert checked.returncode == 0, checked.stdout


def test_published_outcomes_are_brought_back_and_gone_on_with(project: Project) -> None:
    """Without a checkpoint, an image or `.snakemake`: a table comes out the same, and a seed more is the only work."""
    done = project.command("python", "-m", "workflow.commands.publish", *project.configfiles())
    assert done.returncode == 0, done.stdout
    results, published = project.root / "results", project.root / "published"
    table = results / "tables/tiny/table2.csv"
    before = table.read_bytes()
    (results / "published/tiny").rename(published)
    results.rename(project.root / "results-away")
    (project.root / ".snakemake").rename(project.root / "snakemake-away")
    for stage in ("data", "features", "neighbors", "structure", "train", "attack"):
        shutil.copytree(published / stage, results / stage)

    def ran() -> list[str]:
        done = project.snakemake(str(table.relative_to(project.root)))
        assert done.returncode == 0, done.stdout
        return re.findall(r"^(?:local)?rule (?!all)(\w+):$", done.stdout, re.MULTILINE)

    assert ran() == ["table"]
    assert table.read_bytes() == before

    outcomes = {path: path.read_bytes() for path in (results / "attack").rglob("*.*")}
    assert len(outcomes) == 6
    config = project.root / "tiny.yaml"
    config.write_text(config.read_text().replace("seeds: [0]", "seeds: [0, 1]"))
    jobs = ran()
    assert (jobs.count("train"), jobs.count("attack"), jobs[-1]) == (1, 1, "table")
    assert {path: path.read_bytes() for path in outcomes} == outcomes
    assert table.read_text() != before.decode()


def test_what_is_published_is_the_plans_own_whatever_lies_in_results(project: Project) -> None:
    """`tiny` and then `tiny` with an overlay, published in either order: each folder has its own plan and tables."""
    overlay = "methods: {trades: {title: Another}}\ntables: {table1: {methods: [vanilla, trades]}, table2: null}"
    assert project.snakemake(overlay=overlay).returncode == 0
    for path in project.root.glob("results/tables/tiny/*.csv"):
        path.write_text("of another experiment\n")
    for overlays in ("", overlay):
        done = project.command("python", "-m", "workflow.commands.publish", *project.configfiles(overlays))
        assert done.returncode == 0, done.stdout
    (other,) = (project.root / "results/published").glob("tiny-overlay-*")
    assert (project.root / "results/published/tiny/tables/table1.csv").read_text().count("\n") == 1 + 3 * 2
    assert "TRADES" in (project.root / "results/published/tiny/tables/table1.txt").read_text()
    assert (other / "tables/table1.csv").read_text().count("\n") == 1 + 2 * 2
    assert "Another" in (other / "tables/table1.txt").read_text()
    assert not (other / "tables/table2.csv").exists()


def test_publishing_again_plans_anew_for_the_published_outcomes(project: Project) -> None:
    publish = ("python", "-m", "workflow.commands.publish")
    assert project.command(*publish, *project.configfiles()).returncode == 0
    outcomes = {path: path.read_bytes() for path in project.root.glob("results/published/tiny/attack/**/*.*")}
    for stage in ("data", "features", "structure", "train", "attack", "tables"):
        (project.root / "results" / stage).rename(project.root / "results" / f"{stage}-away")
    project.edit("tiny.yaml", "label: FGSM", "label: Fast")
    done = project.command(*publish, "--again", *project.configfiles())
    assert done.returncode == 0, done.stdout
    assert "Fast" in (project.root / "results/published/tiny/tables/table1.txt").read_text()
    assert {path: path.read_bytes() for path in outcomes} == outcomes
    project.edit("tiny.yaml", "attacks:\n", "certify: [vanilla]\nattacks:\n")
    done = project.command(*publish, "--again", *project.configfiles())
    assert done.returncode == 0, done.stdout
    assert {path: path.read_bytes() for path in outcomes} == outcomes
    gaps = json.loads((project.root / "results/published/tiny/gaps.json").read_text())
    assert gaps
    assert all(path.startswith("certify/") for path in gaps)
    project.edit("tiny.yaml", "attacks:\n", "attacks:\n  far: {kind: fgsm, label: Far, epsilon: 0.2}\n")
    project.edit("tiny.yaml", "attacks: [clean, fgsm]", "attacks: [clean, fgsm, far]")
    done = project.command(*publish, "--again", "--so-far", *project.configfiles())
    assert done.returncode == 0, done.stdout
    assert {path: path.read_bytes() for path in outcomes} == outcomes
    gaps = [
        path for path in json.loads((project.root / "results/published/tiny/gaps.json").read_text()) if path not in gaps
    ]
    assert len(gaps) == 2 * len({path.parent for path in outcomes})
    assert all(path.startswith("attack/") for path in gaps)
    project.edit("tiny.yaml", "epsilon: 0.1}", "epsilon: 0.3}")
    done = project.command(*publish, "--again", *project.configfiles())
    assert done.returncode == 1
    assert "not made yet" in done.stdout
    assert (project.root / "results/published/tiny/tables/table1.txt").is_file()
