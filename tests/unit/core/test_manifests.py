"""Manifests under a digest of their own, and files held against what the manifests beside them name."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import ArtifactError
from stages.core.files import sha256_file, write_json
from stages.core.manifests import SEAL, read_json, read_manifest, require_file, write_manifest

RECORD: dict[str, Any] = {
    "settings": {"epsilon": 8 / 255, "small": 1e-05, "norm": float("inf"), "title": "é"},
    "outputs": {"file": {"path": "results/stage/key/file.bin", "sha256": "0" * 64}},
    "seed": 0,
    "facts": {"missing": []},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file with its manifest, in another place than where it was made."""
    (tmp_path / "file.bin").write_bytes(b"what a job wrote")
    return told_of(tmp_path, "manifest.json", "file.bin")


def told_of(folder: Path, manifest: str, *names: str) -> Path:
    hashes = {name: {"path": f"results/x/{name}", "sha256": sha256_file(folder / name)} for name in names}
    write_manifest(folder / manifest, {**RECORD, "outputs": hashes})
    return folder


def flip(path: Path, place: int, bit: int) -> None:
    """Flip a bit in place, the date as it was."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_manifest_is_read_as_it_was_written_and_again_after_it_was_read(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.json", RECORD)
    read = read_manifest(tmp_path / "m.json")
    assert read == {**RECORD, "settings": {**RECORD["settings"], "norm": "inf"}}
    write_manifest(tmp_path / "again.json", read)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "m.json").read_bytes()
    assert [*json.loads((tmp_path / "m.json").read_text())][-1] == SEAL


def test_every_flipped_bit_and_every_truncation_of_a_manifest_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    write_manifest(path, {"seed": 1e-05, "facts": {"é": []}})
    content = path.read_bytes()
    damaged = [content[:size] for size in range(len(content))]
    for place in range(len(content)):
        for bit in range(8):
            damaged.append(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
    for found in damaged:
        path.write_bytes(found)
        with pytest.raises(ArtifactError, match="make verify CONFIG=… REPAIR=1"):
            read_manifest(path)


def test_a_manifest_of_before_there_were_digests_is_read_and_one_with_a_key_of_its_own_is_not(tmp_path: Path) -> None:
    write_json(tmp_path / "old.json", {"seed": 0, "facts": {}})
    assert read_manifest(tmp_path / "old.json") == {"seed": 0, "facts": {}}
    write_json(tmp_path / "odd.json", {"seed": 0, "factr": {}})
    with pytest.raises(ArtifactError, match="no manifest has a key 'factr'"):
        read_manifest(tmp_path / "odd.json")


@pytest.mark.parametrize("content", ["[]", "3", "", "{", "\ud800", '{"settings": ' * 100_000])
def test_what_is_no_manifest_is_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ArtifactError) as caught:
        read_manifest(tmp_path / "m.json")
    assert "\n" not in str(caught.value)


def test_a_file_is_held_against_its_manifest_at_every_read_whatever_its_date(folder: Path) -> None:
    require_file(folder / "file.bin")
    for place in range((folder / "file.bin").stat().st_size):
        flip(folder / "file.bin", place, place % 8)
        with pytest.raises(ArtifactError, match=r"file.bin: differs from its manifest; `make verify"):
            require_file(folder / "file.bin")
        flip(folder / "file.bin", place, place % 8)
    require_file(folder / "file.bin")


def test_a_file_that_no_manifest_names_is_taken_unless_a_damaged_one_may(folder: Path) -> None:
    (folder / "by-hand.bin").write_text("mine")
    write_json(folder / "certificate.json", {"verdict": "pass"})
    require_file(folder / "by-hand.bin")
    flip(folder / "manifest.json", 40, 0)
    for name in ("by-hand.bin", "file.bin"):
        with pytest.raises(ArtifactError, match=r"cannot be checked, as manifest.json beside it is damaged"):
            require_file(folder / name)
    told_of(folder, "another.json", "file.bin")
    require_file(folder / "file.bin")


def test_of_several_manifests_that_name_a_file_any_may_be_right(folder: Path) -> None:
    before = (folder / "file.bin").read_bytes()
    (folder / "file.bin").write_bytes(b"made anew")
    told_of(folder, "new.json", "file.bin")
    require_file(folder / "file.bin")
    (folder / "file.bin").write_bytes(before)
    require_file(folder / "file.bin")
    (folder / "file.bin").write_bytes(b"of neither")
    with pytest.raises(ArtifactError, match="differs from its manifest"):
        require_file(folder / "file.bin")


def test_json_is_held_against_its_manifest_too(folder: Path) -> None:
    write_json(folder / "found.json", {"verdict": "pass"})
    told_of(folder, "manifest.json", "found.json")
    assert read_json(folder / "found.json") == {"verdict": "pass"}
    (folder / "found.json").write_text('{"verdict": "fail"}')
    with pytest.raises(ArtifactError, match=r"found.json: differs from its manifest"):
        read_json(folder / "found.json")
    with pytest.raises(ArtifactError, match="no such file"):
        read_json(folder / "absent.json")
