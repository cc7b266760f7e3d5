"""What a run looks at before its first job: files that changed, that are gone, and that are to be made again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.core.errors import ArtifactError
from stages.core.manifests import read_manifest, write_manifest
from tests.workflow.made_up import first
from tests.workflow.written import LATER, change, dates, table, write
from workflow.planning.given import Given
from workflow.planning.jobs import Job, Plan
from workflow.verify import again
from workflow.verify.dates import differing
from workflow.verify.files import Files
from workflow.verify.start import Found, after_jobs, before_jobs


def test_a_file_that_is_newer_than_its_manifest_and_differs_ends_the_run_and_names_the_cure(plan: Plan) -> None:
    path = first(plan.train).file("checkpoint")
    change(path, LATER)
    before = dates()
    with pytest.raises(ArtifactError) as caught:
        before_jobs(plan, Given([Path("a.yaml"), Path("b.yaml")]))
    assert str(caught.value) == (
        f"{path}: differs from its manifest; `make verify CONFIG='a.yaml b.yaml' REPAIR=1` removes what is damaged,"
        " and the next run makes it again"
    )
    assert dates() == before
    change(first(plan.structure).file("structure"), LATER)
    with pytest.raises(ArtifactError, match=r"\(and 1 more\): differs"):
        before_jobs(plan, Given())


def test_a_manifest_much_newer_than_its_outputs_is_held_against_its_own_digest(plan: Plan) -> None:
    path = first(plan.train).file("manifest")
    os.utime(path, (LATER, LATER))
    assert differing(Files(plan)) == []
    assert Path(path).stat().st_mtime < LATER
    change(path, LATER)
    assert differing(Files(plan)) == [path]


def test_what_was_copied_or_touched_gets_the_date_of_its_manifest_and_is_read_once(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, path in enumerate(sorted(Path("results").rglob("*"))):
        if path.is_file():
            os.utime(path, (LATER + 30 * number, LATER + 30 * number))
    oldest = {job.key: oldest_of(job) for job in plan.jobs()}
    assert differing(Files(plan)) == []
    assert {job.key: oldest_of(job) for job in plan.jobs()} == oldest
    monkeypatch.setattr("workflow.verify.dates.sha256_file", refuse)
    assert differing(Files(plan)) == []


def oldest_of(job: Job) -> float:
    """The date that Snakemake compares with those of a job's inputs."""
    return min(Path(path).stat().st_mtime for path in job.outputs().values())


def refuse(path: Path) -> str:
    raise AssertionError(f"{path} is read")


def test_a_file_that_is_gone_is_told_of_and_named_by_the_tables_on_it_until_it_is_asked_for(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    path = first(plan.structure).file("structure")
    Path(path).unlink()
    found = before_jobs(plan, Given([Path("tiny.yaml")]))
    assert found.again == []
    assert found.gone["table1"] == found.gone["report"] == [path]
    assert capsys.readouterr().err == (
        f"warning: {path} is gone, and finished results rest on that; `make verify CONFIG=tiny.yaml` lists what is\n"
    )
    again.note(Files(plan), [path])
    found = before_jobs(plan, Given())
    assert (found.again, found.gone["table1"]) == ([path], [])
    assert capsys.readouterr().err == ""


def test_results_without_snakemakes_records_are_told_how_to_be_taken(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".snakemake/metadata/record").rmdir()
    before_jobs(plan, Given([Path("tiny.yaml")]))
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "results are here without Snakemake's records" in told
    assert "`make accept CONFIG=tiny.yaml`" in told
    shutil.rmtree("results")
    before_jobs(plan, Given())
    assert capsys.readouterr().err == ""


def test_a_table_that_lacks_what_it_reads_keeps_its_note_so_that_no_note_runs_it(plan: Plan) -> None:
    job, gone = table(plan), ["results/train/x/model.safetensors"]
    Path(next(iter(job.inputs.values()))).unlink()
    assert Files(plan).gone_behind(job) == []
    path = Path(job.file("manifest"))
    write_manifest(path, {**read_manifest(path), "facts": {"gone": gone}})
    assert Files(plan).gone_behind(job) == gone


def test_what_is_made_again_is_forgotten_once_it_is_there(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    job, other = first(plan.structure), first(plan.embed)
    paths = [job.file("structure"), other.file("embeddings")]
    for path in paths:
        Path(path).unlink()
    again.note(Files(plan), [*paths, "results/of/another/plan"])
    found = before_jobs(plan, Given())
    assert found.again == paths
    write(other, Path(), LATER)
    after_jobs(plan, found)
    assert again.noted(Files(plan)) == [job.file("structure")]
    write(job, Path(), LATER)
    after_jobs(plan, found)
    assert not again.record_of(plan).exists()
    assert capsys.readouterr().err == ""
    Path(job.file("structure")).unlink()
    assert before_jobs(plan, Given()).again == []  # deleted by hand since: no run makes it


def test_results_on_files_that_came_out_otherwise_are_named(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    job = first(plan.train)
    Path(job.file("checkpoint")).unlink()
    write(job, Path(), LATER, "other bits")
    after_jobs(plan, Found())
    assert capsys.readouterr().err == ""
    after_jobs(plan, Found(again=[job.file("checkpoint")]))
    assert "made from files that came out otherwise this time; run again for them" in capsys.readouterr().err


def test_what_a_new_job_reads_and_is_gone_is_made_without_those_that_were_made_from_it(
    plan_of: Callable[..., Plan], plan: Plan
) -> None:
    structure = first(plan.structure).file("structure")
    Path(structure).unlink()
    assert Files(plan).wanted() == []
    more = plan_of("tables: {table1: {methods: [vanilla, lsp, trades, mart]}}")
    assert before_jobs(more, Given()).again == [structure]
    left = {key for key, job in more.train.items() if again.BEING_MADE in job.inputs}
    assert left == {*plan.train}
    path = Path(first(plan.structure).file("manifest"))
    write_manifest(path, {**read_manifest(path), "code_digests": ["0" * 16]})
    assert before_jobs(plan_of("tables: {table1: {methods: [vanilla, lsp, trades, mart]}}"), Given()).again == []


def test_jobs_that_are_done_are_left_while_what_they_read_is_made_again_and_others_are_not(plan: Plan) -> None:
    structure, model = first(plan.structure).file("structure"), plan.train[first(plan.train).key].file("checkpoint")
    for path in (structure, model):
        Path(path).unlink()
    files = Files(plan)
    again.leave_finished(files, [model])
    left = {job.key for job in plan.jobs() if again.BEING_MADE in job.inputs}
    trained = first(plan.train)
    assert trained.key not in left  # it is run, and before it the structure that it reads and that is gone too
    assert {key for key in plan.train if key != trained.key} <= left
    assert {key for key in plan.attack if key.startswith(trained.key)} <= left
    assert not left & {*plan.data, *plan.embed}
    assert plan.tables["table1"].key not in left  # its outcomes are there
