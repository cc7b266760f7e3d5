"""The report's job: it waits for all that its page shows, and what is published of it names no picture."""

from collections.abc import Callable
from pathlib import Path

from stages.core.files import unpacked_json
from stages.tables.report.told import Report
from tests.conftest import ROOT
from workflow.commands.publish import published_report
from workflow.planning.jobs import Plan
from workflow.planning.load import load_experiment
from workflow.planning.report import reported
from workflow.planning.tables import make_plan


def test_it_waits_for_every_file_that_it_reads_but_what_jobs_say_of_themselves(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of("certify: [vanilla]")
    job = plan.lists["report"]
    report = Report.model_validate(unpacked_json(job.settings))
    read = {*report.files()}
    of_features = {pretrain.file("history") for pretrain in plan.pretrain.values()}  # the tables rest on them
    assert read - {made.manifest for made in report.jobs} - of_features == {*job.inputs}
    assert {train.file("history") for train in plan.train.values()} <= {*job.inputs}


def test_it_knows_every_job_before_the_tables(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of("certify: [vanilla]")
    manifests = {made["manifest"] for made in reported(plan)["jobs"]}
    assert {
        job.file("manifest") for job in (*plan.train.values(), *plan.attack.values(), *plan.certify.values())
    } <= manifests
    assert {job.file("manifest") for job in (*plan.index.values(), *plan.pictures.values())} <= manifests


def test_what_is_published_names_no_picture_and_only_manifests_that_are_published() -> None:
    experiment = load_experiment([ROOT / "workflow/experiments/cifar10-jpeg-small.yaml"], ROOT / "config.yaml")
    told = published_report(make_plan(experiment, ROOT / "results/published/cifar10-jpeg-small"))
    assert told["pictures"] == []
    folder = ROOT / "results/published/cifar10-jpeg-small"
    for made in told["jobs"]:
        assert (folder / made["manifest"]).is_file(), made["manifest"]
    assert Path(told["claims"]).parent == Path(told["assumptions"]).parent == Path(told["place"])


def test_the_command_names_the_files_that_make_the_experiment(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("seeds: [0, 1]\n")
    (tmp_path / "machine.yaml").write_text("device: cpu\n")
    default = ROOT / "config.yaml"
    paper = ROOT / "workflow/experiments/paper.yaml"

    def command(*files: Path, **overrides: object) -> str:
        return load_experiment(files, default, overrides).command

    assert command() == "snakemake --cores all"
    assert command(tmp_path / "machine.yaml") == "snakemake --cores all"
    assert command(tmp_path / "mine.yaml") == "snakemake --cores all --configfile mine.yaml"
    assert command(paper, tmp_path / "mine.yaml") == (
        "snakemake --cores all --configfile workflow/experiments/paper.yaml mine.yaml"
    )
    assert command(seeds=[3]) == "snakemake --cores all --config 'seeds=[3]'"
