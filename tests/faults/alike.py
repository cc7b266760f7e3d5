"""Whether a job's files are those of another run of it: byte for byte, but for its time and code's digest."""

import json
from pathlib import Path
from typing import Any

from stages.core.manifests import SEAL
from stages.core.parquet import read_table
from tests.conftest import ROOT

TIMED = ("seconds", "peak_memory_bytes", "code_digests", SEAL)
TELL_OF_TIME = ("history.parquet", ".json", "report.html")  # of a run made anew, so their digests differ too


def content(path: Path) -> Any:
    """What a file holds, None where it is not there: bytes, but of histories and manifests all but their times."""
    if not path.is_file():
        return None
    if path.name == "history.parquet":
        return repr(read_table(path).drop(["seconds"]).to_pydict())
    if path.suffix == ".json":
        return timeless(json.loads(path.read_text(encoding="utf-8")))
    return path.read_bytes()


def timeless(value: Any) -> Any:
    """A record without seconds, peaks of memory, and the digests of files that tell of them."""
    if isinstance(value, dict):
        told = any(str(value.get("path", "")).endswith(ending) for ending in TELL_OF_TIME)
        dropped = (*TIMED, "sha256") if told else TIMED
        return {key: timeless(item) for key, item in value.items() if key not in dropped}
    if isinstance(value, list):
        return [timeless(item) for item in value]
    return value.removeprefix(f"{ROOT}/") if isinstance(value, str) else value  # children run this checkout's code


def different(one: Path, other: Path, files: list[str]) -> list[str]:
    """Those of the files that differ between two projects' folders."""
    return [path for path in files if content(one / path) != content(other / path)]
