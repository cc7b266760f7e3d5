"""What every stage shares: files whole or not at all, manifests, one-line errors, the held-out split."""

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch

from stages.core.artifacts import write_weights
from stages.core.code import code_digest
from stages.core.config.recipe import Recipe
from stages.core.errors import ArtifactError, ConfigError, StageError
from stages.core.files import (
    atomic,
    canonical_json,
    digest,
    packed_json,
    sha256_file,
    unpacked_json,
    write_json,
    write_text,
)
from stages.core.images.split import held_out_mask
from stages.core.job.stage import Job, load_settings, one_line_errors, parser, recorded
from tests.unit.drawing import CPU


def half_written(path: Path, error: BaseException, *, whole: bool = False) -> None:
    """An error in the middle of a write, or with `whole` right after it."""
    with atomic(path) as temporary:
        temporary.write_text("half")
        if not whole:
            raise error
    raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, ArtifactError])
def test_atomic_leaves_nothing_on_an_error_and_the_old_file_as_it_was(
    error: type[BaseException], tmp_path: Path
) -> None:
    for name, old in (("new", None), ("old", "before")):
        path = tmp_path / name
        if old:
            path.write_text(old)
        with pytest.raises(error):
            half_written(path, error())
        assert (path.read_text() if path.exists() else None) == old
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_atomic_shows_the_file_only_when_it_is_whole_and_with_ordinary_rights(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with atomic(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
    (tmp_path / "plain").write_text("")
    assert path.read_text() == "whole"
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


SERIALIZED = safetensors.SafetensorError(
    "Error while serializing: I/O error: No space left on device (os error 28)"
)  # though there may be room again when it is heard of


@pytest.mark.parametrize("error", [FULL, OSError(errno.EDQUOT, "quota"), SERIALIZED])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, one_line_errors():
        half_written(tmp_path / "file", error)
    line = capsys.readouterr().err
    assert ended.value.code == 1
    assert f"{tmp_path}/file: " in line
    assert "no space" in line
    assert line.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_full_disk_while_weights_are_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise FULL

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(SystemExit), one_line_errors():
        write_weights(tmp_path / "weights", {"w": torch.zeros(3)}, {})
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [StageError, ConfigError, ArtifactError])
def test_what_a_user_can_cure_is_one_line_and_status_1(
    error: type[StageError], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise error("lr: 0 must be above 0")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: lr: 0 must be above 0\n"


@pytest.mark.parametrize("error", [ValueError("a fault of ours"), OSError("a library's own"), RuntimeError("?")])
def test_other_errors_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, one_line_errors():
        raise error
    assert caught.value is error


def asked(folder: Path, **changes: Any) -> Job:
    arguments: dict[str, Any] = {
        "modules": ["stages.train.schedule"],
        "settings": {"lr": 0.1},
        "inputs": {"there": folder / "input", "not-there": folder / "absent"},
        "outputs": {"one": folder / "one", "two": folder / "two"},
        "seed": 4,
        "device": CPU,
    }
    return Job(folder / "manifest.json", **{**arguments, **changes})


def record(folder: Path) -> Any:
    return recorded(asked(folder))


def test_a_job_s_key_hangs_on_all_that_its_result_hangs_on_and_not_on_where_its_files_are(tmp_path: Path) -> None:
    for name, text in (("input", "given"), ("copy", "given"), ("other", "another")):
        (tmp_path / name).write_text(text)
    key = asked(tmp_path).key
    elsewhere = {"inputs": {"there": tmp_path / "copy"}, "outputs": {"one": tmp_path / "three"}}
    assert asked(tmp_path, **elsewhere).key == key
    changes: list[dict[str, Any]] = [
        {"settings": {"lr": 0.2}},
        {"inputs": {"there": tmp_path / "other"}},
        {"inputs": {"here": tmp_path / "input"}},
        {"modules": ["stages.train.state"]},
        {"seed": 5},
        {"device": torch.device("cuda")},
    ]
    assert len({key, *(asked(tmp_path, **change).key for change in changes)}) == 1 + len(changes)
    assert asked(tmp_path, device=torch.device("cuda", 1)).key == asked(tmp_path, device=torch.device("cuda")).key


def test_a_manifest_says_settings_inputs_outputs_code_seed_versions_device_and_facts(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("given")
    with record(tmp_path) as facts:
        for name in ("one", "two"):
            (tmp_path / name).write_text(name)
        facts["duplicates"] = 3
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("given", "one", "two")}
    assert manifest["settings"] == {"lr": 0.1}
    assert manifest["inputs"]["there"] == {"path": str(tmp_path / "input"), "sha256": hashes["given"]}
    assert manifest["inputs"]["not-there"]["sha256"] is None
    assert {name: entry["sha256"] for name, entry in manifest["outputs"].items()} == {
        name: hashes[name] for name in ("one", "two")
    }
    assert manifest["code_digests"] == [code_digest(["stages.train.schedule"])]
    assert (manifest["seed"], manifest["facts"]) == (4, {"duplicates": 3})
    assert manifest["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert manifest["device"].startswith("cpu")
    assert manifest["peak_memory_bytes"]["host"] > 1e6
    assert manifest["seconds"] >= 0


def finished_before(folder: Path) -> dict[str, str]:
    """A job that was done; its files and what they hold."""
    (folder / "input").write_text("given")
    with record(folder):
        for name in ("one", "two"):
            (folder / name).write_text(f"old {name}")
    return contents(folder)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_before_an_output_was_replaced_leaves_those_of_before(
    error: type[BaseException], tmp_path: Path
) -> None:
    before = finished_before(tmp_path)
    with pytest.raises(error), record(tmp_path):
        half_written(tmp_path / "one", error())
    assert contents(tmp_path) == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_after_an_output_was_replaced_leaves_none_of_old_or_new(
    error: type[BaseException], tmp_path: Path
) -> None:
    finished_before(tmp_path)
    with pytest.raises(error), record(tmp_path):
        half_written(tmp_path / "one", error(), whole=True)
    assert contents(tmp_path) == {"input": "given"}


def test_an_output_that_was_never_written_is_an_error_and_leaves_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), record(tmp_path):
        (tmp_path / "one").write_text("one")
    assert not list(tmp_path.iterdir())


def test_an_input_that_cannot_be_read_is_found_before_any_output_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = finished_before(tmp_path)

    def broken(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr("stages.core.job.stage.sha256_file", broken)
    with pytest.raises(OSError, match="Input/output error"), record(tmp_path):
        (tmp_path / "one").write_text("new")
    assert contents(tmp_path) == before


def test_what_a_killed_attempt_left_half_written_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / ".one.abcd1234").write_text("half")
    (tmp_path / ".other.abcd1234").write_text("another job's")
    finished_before(tmp_path)
    assert contents(tmp_path).keys() == {"input", "one", "two", "manifest.json", ".other.abcd1234"}


def test_settings_come_as_json_packed_json_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"lr": "1/2"}')
    texts = ['{"lr": 0.5}', packed_json({"lr": "5e-1"}), f"@{tmp_path / 'settings.json'}"]
    assert {load_settings(text, Recipe).lr for text in texts} == {0.5}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "@/nowhere/at-all.json", "zlib:!!", "zlib:AAAA", '{"lr": 0}', '{"learning": 1}']
)
def test_settings_that_are_none_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(text, Recipe)
    assert "\n" not in str(caught.value)


def test_the_shared_arguments_are_settings_device_threads_and_manifest(tmp_path: Path) -> None:
    parsed = parser("train", "what", Recipe, "").parse_args(["--settings", "{}", "--manifest", "m.json"])
    assert vars(parsed) == {"settings": "{}", "device": "auto", "threads": 0, "manifest": Path("m.json")}


@pytest.mark.parametrize("value", [{"b": [1, 0.5, None], "a": {"é": "8/255"}}, [], "zlib", 3])
def test_packed_json_comes_back(value: Any) -> None:
    assert unpacked_json(packed_json(value)) == unpacked_json(canonical_json(value)) == value


def test_equal_values_have_one_spelling_and_digest_and_others_another() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
    assert len(digest({}, 32)) == 32
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(float("nan"))


def test_text_and_json_are_written_as_given_and_hashed_by_their_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "ε = 8/255\n")
    write_json(tmp_path / "json", {"b": 1, "a": "ε"})
    assert sha256_file(tmp_path / "text") == hashlib.sha256("ε = 8/255\n".encode()).hexdigest()
    assert (tmp_path / "json").read_text() == '{\n  "b": 1,\n  "a": "ε"\n}\n'


@pytest.mark.parametrize(("images", "at_most", "held"), [(1000, 64, 64), (100, 1024, 10), (9, 1024, 0), (50, 0, 0)])
def test_the_held_out_split_is_at_most_a_tenth_and_always_the_same(images: int, at_most: int, held: int) -> None:
    mask = held_out_mask(images, at_most)
    torch.manual_seed(99)
    assert int(mask.sum()) == held
    assert torch.equal(mask, held_out_mask(images, at_most))
    assert bool((held_out_mask(images, at_most // 2) <= mask).all())
