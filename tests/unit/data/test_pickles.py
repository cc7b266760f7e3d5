"""The pickle reader gives back plain content and never runs a pickle's code."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import ArtifactError
from stages.data.pickles import read_pickle

CONTENT = {"data": np.arange(12, dtype=np.uint8).reshape(3, 4), "labels": [1, 2, 3], "raw": b"\xff\x00", "name": "x"}


class Run:
    """Unpickled by pickle.load, this makes the directory it names."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_come_back_under_every_protocol(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "batch").write_bytes(pickle.dumps(CONTENT, protocol=protocol))
    found = read_pickle(tmp_path / "batch")
    np.testing.assert_array_equal(found["data"], CONTENT["data"])
    assert found["data"].dtype == np.uint8
    assert {name: found[name] for name in ("labels", "raw", "name")} == {
        name: CONTENT[name] for name in ("labels", "raw", "name")
    }


def test_a_pickle_of_python_2_reads_as_latin1(tmp_path: Path) -> None:
    (tmp_path / "batch").write_bytes(b"\x80\x02}U\x04dataU\x02\xff\x00s.")
    assert read_pickle(tmp_path / "batch") == {"data": "\xff\x00"}


def test_a_pickle_written_by_numpy_1_reads(tmp_path: Path) -> None:
    old = pickle.dumps(CONTENT, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in old
    (tmp_path / "batch").write_bytes(old)
    np.testing.assert_array_equal(read_pickle(tmp_path / "batch")["data"], CONTENT["data"])


def test_a_pickle_that_runs_code_is_refused_without_running(tmp_path: Path) -> None:
    harmful = pickle.dumps({"data": Run(tmp_path / "made")}, protocol=2)
    pickle.loads(harmful)
    assert (tmp_path / "made").exists()
    (tmp_path / "made").rmdir()
    (tmp_path / "batch").write_bytes(harmful)
    with pytest.raises(ArtifactError, match=r"batch: not a pickle of plain .* asks for \w+\.mkdir"):
        read_pickle(tmp_path / "batch")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("module", "name"), [("builtins", "eval"), ("builtins", "getattr"), ("numpy", "load")])
def test_no_other_name_is_looked_up(tmp_path: Path, module: str, name: str) -> None:
    (tmp_path / "batch").write_bytes(f"c{module}\n{name}\n.".encode())
    with pytest.raises(ArtifactError, match=f"asks for {module}.{name}"):
        read_pickle(tmp_path / "batch")


def test_an_object_array_cannot_carry_code(tmp_path: Path) -> None:
    array = np.empty(1, object)
    array[0] = Run(tmp_path / "made")
    (tmp_path / "batch").write_bytes(pickle.dumps(array, protocol=2))
    with pytest.raises(ArtifactError, match="asks for"):
        read_pickle(tmp_path / "batch")
    assert not (tmp_path / "made").exists()
