"""`make verify` and what a run looks at before its first job, on files that no job wrote."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import ArtifactError, StageError
from stages.core.files import sha256_file
from stages.core.manifests import read_manifest, write_manifest
from tests.conftest import TINY
from tests.workflow.made_up import first
from tests.workflow.written import WRITTEN_AT, write, write_all
from workflow.commands import verify
from workflow.planning.jobs import Job, Plan
from workflow.verify import again, hashing
from workflow.verify.dates import differing
from workflow.verify.files import Files, command
from workflow.verify.hashing import hash_all
from workflow.verify.judge import judge, made_from_others, repair
from workflow.verify.start import Found, after_jobs, before_jobs

LATER = WRITTEN_AT + 86_400


@pytest.fixture
def plan(plan_of: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The tiny experiment, all of it written, in the working directory."""
    planned = plan_of()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    write_all(planned, Path())
    return planned


def hashes(paths: Iterable[str]) -> Mapping[str, str]:
    return {path: sha256_file(Path(path)) for path in paths}


def listed(plan: Plan) -> dict[str, str]:
    """{file or job: kind} of all that is wrong."""
    return {one.what: one.kind for one in judge(Files(plan), hashes)}


def dates() -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}


def change(path: str, at: float | None = None) -> None:
    """One bit of a file, its date as it was unless another is given."""
    status, content = Path(path).stat(), bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 1
    Path(path).write_bytes(content)
    os.utime(path, (at, at) if at else (status.st_atime, status.st_mtime))


def table(plan: Plan) -> Job:
    return plan.tables["table1"]


def test_of_what_is_whole_nothing_is_listed_and_no_date_is_changed(plan: Plan) -> None:
    before = dates()
    assert listed(plan) == {}
    assert before_jobs(plan, []).again == []
    assert dates() == before


def test_every_file_of_every_job_is_held_against_its_manifest_and_each_manifest_against_itself(plan: Plan) -> None:
    for job in plan.jobs():
        for path in {*job.outputs().values(), job.file("manifest")}:
            sound = Path(path).read_bytes()
            change(path)
            assert listed(plan)[path] == "damaged"
            Path(path).unlink()
            assert listed(plan)[path] == "missing"
            Path(path).write_bytes(sound)
    assert listed(plan) == {}


def test_a_job_is_stale_whose_input_was_made_anew_and_no_other_is(plan: Plan) -> None:
    job = first(plan.train)
    write(job, Path(), LATER, "made anew")
    stale = {what for what, kind in listed(plan).items() if kind == "stale"}
    checkpoint = job.file("checkpoint")
    readers = {f"attack {key}" for key, attack in plan.attack.items() if attack.inputs["checkpoint"] == checkpoint}
    assert readers
    assert stale >= readers
    assert not [what for what in stale - readers if what.startswith(("train", "attack"))]
    assert {*listed(plan).values()} == {"stale"}
    assert stale == {*made_from_others(Files(plan))}


def test_other_code_and_another_plan_are_stale(plan: Plan) -> None:
    for job, changes in (
        (first(plan.train), {"code_digests": ["0" * 16]}),
        (table(plan), {"settings": {"title": "?"}}),
    ):
        path = Path(job.file("manifest"))
        write_manifest(path, {**read_manifest(path), **changes})
    found = {one.what: one.why for one in judge(Files(plan), hashes)}
    assert found == {
        f"train {first(plan.train).key}": "made by other code",
        "table table1": "its plan has changed",
    }


@pytest.mark.parametrize("stage", ["data", "embed", "structure", "train", "attack"])
def test_a_job_of_which_nothing_is_left_is_missing_where_finished_results_rest_on_it(plan: Plan, stage: str) -> None:
    job = first(getattr(plan, stage))
    for path in (*job.outputs().values(), job.file("manifest")):
        Path(path).unlink(missing_ok=True)
    found = listed(plan)
    assert found
    assert {*found.values()} == {"missing"}
    assert {*found} <= {*job.outputs().values()}


def test_what_nobody_has_made_yet_is_not_missing(plan_of: Callable[..., Plan], plan: Plan) -> None:
    more = plan_of("tables: {table1: {methods: [vanilla, lsp, trades, mart]}}")
    kinds = listed(more)
    assert not {what for what, kind in kinds.items() if kind == "missing" and "mart" in what}


def test_a_repair_removes_the_damaged_file_and_nothing_valid(plan: Plan) -> None:
    damaged = first(plan.train).file("checkpoint")
    gone = first(plan.structure).file("structure")
    change(damaged)
    Path(gone).unlink()
    before = dates()
    removed, wanted = repair(Files(plan), judge(Files(plan), hashes))
    assert (removed, {*wanted}) == ([damaged], {damaged, gone})
    assert dates() == {path: date for path, date in before.items() if path != damaged}


def test_of_a_damaged_file_that_snakemake_is_not_told_of_one_that_it_is_told_of_goes_too(plan: Plan) -> None:
    job = first(plan.attack)
    change(job.file("manifest"))
    removed, wanted = repair(Files(plan), judge(Files(plan), hashes))
    assert removed == [job.file("manifest"), job.file("outcomes")]
    assert wanted == [job.file("outcomes")]


def test_a_file_that_is_newer_than_its_manifest_and_differs_ends_the_run_and_names_the_cure(plan: Plan) -> None:
    path = first(plan.train).file("checkpoint")
    change(path, LATER)
    before = dates()
    with pytest.raises(ArtifactError) as caught:
        before_jobs(plan, [Path("a.yaml"), Path("b.yaml")])
    assert str(caught.value) == (
        f"{path}: differs from its manifest; `make verify CONFIG='a.yaml b.yaml' REPAIR=1` removes what is damaged,"
        " and the next run makes it again"
    )
    assert dates() == before
    change(first(plan.structure).file("structure"), LATER)
    with pytest.raises(ArtifactError, match=r"\(and 1 more\): differs"):
        before_jobs(plan, [])


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
    found = before_jobs(plan, [Path("tiny.yaml")])
    assert found.again == []
    assert found.gone["table1"] == found.gone["report"] == [path]
    assert capsys.readouterr().err == (
        f"warning: {path}, which finished results rest on, is gone; `make verify CONFIG=tiny.yaml` lists them\n"
    )
    again.note(Files(plan), [path])
    found = before_jobs(plan, [])
    assert (found.again, found.gone["table1"]) == ([path], [])
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
    found = before_jobs(plan, [])
    assert found.again == paths
    write(other, Path(), LATER)
    after_jobs(plan, found)
    assert again.noted(Files(plan)) == [job.file("structure")]
    write(job, Path(), LATER)
    after_jobs(plan, found)
    assert not again.record_of(plan).exists()
    assert capsys.readouterr().err == ""
    Path(job.file("structure")).unlink()
    assert before_jobs(plan, []).again == []  # deleted by hand since: no run makes it


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
    assert before_jobs(more, []).again == [structure]
    left = {key for key, job in more.train.items() if again.BEING_MADE in job.inputs}
    assert left == {*plan.train}
    path = Path(first(plan.structure).file("manifest"))
    write_manifest(path, {**read_manifest(path), "code_digests": ["0" * 16]})
    assert before_jobs(plan_of("tables: {table1: {methods: [vanilla, lsp, trades, mart]}}"), []).again == []


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


def interrupted_after(monkeypatch: pytest.MonkeyPatch, files: int) -> list[str]:
    """Hashing ends as by Ctrl-C after so many files; returns those that are read."""
    read: list[str] = []

    def counting(path: Path) -> str:
        if len(read) >= files:
            raise KeyboardInterrupt
        read.append(str(path))
        return sha256_file(path)

    monkeypatch.setattr(hashing, "sha256_file", counting)
    return read


def test_an_interrupted_pass_is_gone_on_with_and_a_whole_one_starts_anew(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(path for job in plan.jobs() for path in job.outputs().values())
    record = Path("results/verify/tiny.pass.json")
    monkeypatch.setattr(hashing.os, "cpu_count", lambda: 1)
    before = interrupted_after(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        hash_all(paths, record)
    change(before[0], LATER)
    after = interrupted_after(monkeypatch, 10 * len(paths))
    took = hash_all(paths, record)
    assert {*after} == {*paths} - {*before[1:]}
    assert took.hashes == {path: sha256_file(Path(path)) for path in paths}
    assert (took.known, took.read) == (4, sum(Path(path).stat().st_size for path in after))
    assert not record.exists()
    assert [*hash_all(paths, record).hashes] != []
    assert len(after) == len({*paths} - {*before[1:]}) + len(paths)


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": ["x", 1, "y"]}', "{"])
def test_a_damaged_note_of_a_pass_or_of_a_repair_is_none(plan: Plan, content: str) -> None:
    path = first(plan.train).file("checkpoint")
    for record in (Path("results/verify/tiny.json"), Path("results/verify/tiny.pass.json")):
        record.parent.mkdir(exist_ok=True)
        record.write_text(content)
    assert hash_all([path], Path("results/verify/tiny.pass.json")).known == 0
    assert before_jobs(plan, []).again == []


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    with pytest.raises(SystemExit) as ended:
        verify.main(["--configfile", str(TINY), *words])
    return int(ended.value.code or 0), capsys.readouterr().out.splitlines()


def test_the_command_lists_prices_and_repairs(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = said(capsys)
    assert status == 0
    assert lines[0].startswith("verified ")
    assert lines[0].endswith(": 0 damaged, 0 missing, 0 stale")
    path = first(plan.train).file("checkpoint")
    change(path)
    status, lines = said(capsys)
    assert status == 1
    assert lines[0] == f"damaged  {path}: differs from its manifest"
    assert "REPAIR=1` removes what is damaged" in lines[-1]
    status, lines = said(capsys, "--repair")
    assert status == 0
    assert f"removed  {path}" in lines
    assert json.loads(Path("results/verify/tiny.json").read_text()) == {"again": [path]}
    assert not Path(path).exists()


def test_nothing_is_repaired_while_snakemake_works_there(plan: Plan) -> None:
    path = first(plan.train).file("checkpoint")
    change(path)
    verify.LOCKS.mkdir(parents=True)
    (verify.LOCKS / "0.input.lock").touch()
    with pytest.raises(StageError, match="snakemake works here"):
        verify.main(["--configfile", str(TINY), "--repair"])
    assert Path(path).exists()


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ([], "make verify REPAIR=1"),
        (["tiny.yaml"], "make verify CONFIG=tiny.yaml REPAIR=1"),
        (["a.yaml", "b c.yaml"], "make verify CONFIG='a.yaml b c.yaml' REPAIR=1"),
    ],
)
def test_the_command_is_named_with_the_run_s_config_files(files: list[str], line: str, monkeypatch: Any) -> None:
    assert command([Path(file) for file in files], repair=True) == line
    assert command([Path(file).absolute() for file in files], repair=True) == line
