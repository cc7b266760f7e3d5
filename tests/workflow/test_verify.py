"""`make verify`: what is damaged, missing or stale is listed, priced and repaired, on files that no job wrote."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import ConfigError, StageError
from stages.core.files import sha256_file
from stages.core.manifests import read_manifest, write_manifest
from tests.conftest import TINY
from tests.workflow.made_up import first
from tests.workflow.written import LATER, change, dates, hashes, listed, table, write, write_all
from workflow.commands import verify
from workflow.planning.given import Given
from workflow.planning.jobs import Plan
from workflow.planning.tables import make_plan
from workflow.verify import hashing
from workflow.verify.files import Files
from workflow.verify.hashing import hash_all
from workflow.verify.judge import judge, made_from_others
from workflow.verify.repair import repair
from workflow.verify.start import before_jobs


def test_of_what_is_whole_nothing_is_listed_and_no_date_is_changed(plan: Plan) -> None:
    before = dates()
    assert listed(plan) == {}
    assert before_jobs(plan, Given()).again == []
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


def test_a_note_of_what_is_gone_that_stands_when_it_is_there_is_stale(plan: Plan) -> None:
    path, gone = Path(table(plan).file("manifest")), first(plan.structure).file("structure")
    write_manifest(path, {**read_manifest(path), "facts": {"gone": [gone]}})
    assert listed(plan) == {"table table1": "stale"}
    Path(gone).unlink()
    assert listed(plan) == {gone: "missing"}


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
    assert before_jobs(plan, Given()).again == []


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
    assert Given([Path(file) for file in files]).command(repair=True) == line
    assert Given([Path(file).absolute() for file in files]).command(repair=True) == line


def test_the_command_names_the_settings_of_its_command_line_and_finds_what_they_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workflow.planning.given.ROOT", tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY.read_text())
    given = Given([Path("tiny.yaml")], {"seeds": ["3"], "title": "it's"})
    *interpreter, module = shlex.split(given.command(repair=True))[:3]
    assert (interpreter, module) == (["python", "-m"], "workflow.commands.verify")
    words = shlex.split(given.command())[3:]
    plan = make_plan(given.experiment())
    assert {job.seed for job in plan.train.values()} == {3}
    write_all(plan, tmp_path)
    change(first(plan.train).file("checkpoint"))
    with pytest.raises(SystemExit) as ended:
        verify.main(words)
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert f"{first(plan.train).file('checkpoint')}: " in told
    assert f"`{given.command(repair=True)}`" in told
    with pytest.raises(SystemExit) as ended:
        verify.main(["--configfile", "tiny.yaml"])
    assert ended.value.code == 0
    assert "0 damaged, 0 missing" in capsys.readouterr().out


def test_settings_that_snakemake_would_refuse_are_refused_in_a_line() -> None:
    with pytest.raises(ConfigError, match=r"--config seeds: "):
        verify.main(["--config", "seeds"])
