"""No file is trusted: what is hostile or malformed is one line with its name, in little time and memory."""

import re
from pathlib import Path

import pytest

from stages.core import ceilings
from stages.core.errors import ArtifactError, StageError
from stages.data.trees import zip_tree
from tests.faults.hostile import HOSTILE
from tests.faults.packed import deflated, zip_of
from tests.faults.untrusted import Hostile, not_held

MIB = 2**20


@pytest.mark.parametrize("hostile", HOSTILE, ids=[hostile.name for hostile in HOSTILE])
def test_a_hostile_file_is_one_line_in_little_time_and_memory_and_nothing_in_it_is_run(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not_held(hostile, tmp_path) == []


def test_the_law_sees_a_file_that_is_taken_one_that_ends_in_a_traceback_and_one_that_costs_much(tmp_path: Path) -> None:
    def refused_late(path: Path) -> None:
        assert len(bytearray(600 * MIB)) > 0
        raise StageError(f"{path}: no")

    def failing(path: Path) -> None:
        raise KeyError(path)

    def told(read: object) -> str:
        return " ".join(not_held(Hostile("one", lambda folder: folder / "some", read), tmp_path))  # type: ignore[arg-type]

    assert "was taken" in told(lambda path: None)
    assert "KeyError" in told(failing)
    assert "MB" in told(refused_late)


def test_every_hostile_file_has_a_name_of_its_own() -> None:
    assert len({hostile.name for hostile in HOSTILE}) == len(HOSTILE) > 200


def test_what_is_meant_is_taken_once_the_ceiling_is_raised_as_the_message_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 40 * MIB
    archive = zip_of(tmp_path / "some.zip", "top/large", deflated(b"", bytes(MIB), 40), size)
    with pytest.raises(ArtifactError, match="41,943,040 bytes") as caught:
        zip_tree(archive, "top").read("large")
    factor = re.search(r"LSP_CEILINGS=(\d+)", str(caught.value))
    assert factor is not None
    monkeypatch.setenv(ceilings.VARIABLE, factor[1])
    with pytest.raises(ArtifactError, match=r"is damaged .*CRC"):  # read to its end, whose sum was left out
        zip_tree(archive, "top").read("large")


@pytest.mark.parametrize("wrong", ["", "0.5", "nan", "inf", "-1", "many"])
def test_a_ceiling_cannot_be_lowered_or_taken_away(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ceilings.VARIABLE, wrong)
    with pytest.raises(StageError, match=f"LSP_CEILINGS: '{wrong}' is no factor"):
        ceilings.factor()
