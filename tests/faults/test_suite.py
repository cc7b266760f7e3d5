"""The suite counts: what holds, what does not, what is skipped; and a row can fail."""

import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.faults import __main__ as suite_command
from tests.faults import forks, killed_saving
from tests.faults.suite import NotHeldError, Row, Size, SkippedError, Told, Trial, again, run, text
from tests.faults.versions import Kind
from tests.faults.world import World


def fail(*reasons: str) -> None:
    raise NotHeldError(*reasons)


def skip() -> None:
    raise SkippedError("not here")


def crash() -> None:
    raise KeyError("a bug")


def planted(*works: object, faults: int = 1) -> Row:
    return Row("row", "a fault", lambda world, size: (Trial("part", "done so", work, faults) for work in works))  # type: ignore[arg-type]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """A row of which one trial holds, one fails twice, one breaks and one is skipped."""
    row = planted(lambda: None, partial(fail, "first", "second"), crash, skip, faults=3)
    return run(row, World(tmp_path), Size(full=False, seed=7))


def test_what_does_not_hold_is_counted_by_reason_and_what_is_skipped_is_no_injection(told: Told) -> None:
    assert (told.total.injected, told.total.held, told.holds) == (9, 6, False)
    assert told.skipped == {"not here": 3}
    assert [failure["why"] for failure in told.failures] == ["first", "second", "KeyError: 'a bug'"]


def test_each_failure_is_told_with_the_command_that_does_it_again(told: Told) -> None:
    said = text([told])
    assert "\na fault         9     6 " in said
    for number, why in ((1, "first"), (1, "second"), (2, "KeyError: 'a bug'")):
        line = f"not held, row: part: done so: {why}\n  {again(planted(), Size(False, 7), number)}"
        assert line in said
    assert again(planted(), Size(False, 7), 1) == "python -m tests.faults --only row --trial 1 --seed 7"


def test_one_trial_is_made_again_alone(tmp_path: Path) -> None:
    told = run(planted(crash, partial(fail, "it"), crash), World(tmp_path), Size(False, 0), only=1)
    assert [failure["why"] for failure in told.failures] == ["it"]


def test_a_finished_row_is_kept_and_not_made_again(told: Told, tmp_path: Path) -> None:
    told.write(tmp_path / "row.json")
    assert Told.read(tmp_path / "row.json") == told


@pytest.mark.parametrize(("work", "status"), [(lambda: None, 0), (skip, 0), (crash, 1)])
def test_the_command_ends_with_1_where_something_did_not_hold_and_writes_the_table(
    work: object, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite_command, "ROWS", {"row": planted(work)})
    assert suite_command.main(full(tmp_path)) == status
    assert "| a fault | " in (tmp_path / "kept/README.md").read_text()


def test_it_goes_on_where_it_was_and_makes_again_what_did_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for first, second, status in ((lambda: None, crash, 0), (crash, lambda: None, 0)):
        folder = tmp_path / str(first is crash)
        for work in (first, second):
            monkeypatch.setattr(suite_command, "ROWS", {"row": planted(work)})
            ended = suite_command.main(full(folder))
        assert ended == status


def test_a_trial_is_of_one_row() -> None:
    with pytest.raises(SystemExit, match=r"--trial: .*--only"):
        suite_command.main(["--trial", "3"])


def full(folder: Path) -> list[str]:
    return ["--full", "--into", str(folder / "kept"), "--world", str(folder)]


def test_a_writer_that_is_not_atomic_is_seen(tmp_path: Path) -> None:
    """One that truncates the file before it writes."""

    def write(path: Path, version: int) -> None:
        with path.open("wb") as stream:
            for _ in range(200):
                stream.write(bytes([version]) * 1000)
                stream.flush()

    size, kind = Size(full=False, seed=0), Kind(write, Path.read_bytes)
    unheld = 0
    for number in range(10):
        try:
            killed_saving.killed(World(tmp_path), kind, size, number)
        except NotHeldError:
            unheld += 1
    assert unheld > 5


def test_a_child_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "LONGEST", 0.2)
    assert forks.forked(partial(time.sleep, 60), tmp_path).status == -9


def test_a_child_s_status_and_words_are_told(tmp_path: Path) -> None:
    assert forks.forked(partial(sys.exit, "error: no"), tmp_path).last == "error: no"
    assert [forks.forked(work, tmp_path).status for work in (lambda: None, crash, partial(sys.exit, 75))] == [0, 70, 75]
