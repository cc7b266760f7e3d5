"""What a job says of itself beside its outputs, and files held against it.

A manifest ends with the SHA-256 of its own text without that line, so that every changed byte is seen; one written
before there was such a line is read without it. An output is held against the hashes that the manifests in its folder
name, wherever the folder was moved to. A file that no manifest names was written by hand and is taken as it is.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from stages.core.errors import ArtifactError
from stages.core.files import json_text, sha256_file, write_text

SEAL = "sha256_of_the_rest"
KEYS = frozenset(
    ("settings", "inputs", "outputs", "code_digests", "seed", "device", "threads", "peak_memory_bytes", "versions")
) | frozenset(("seconds", "facts"))
MARKS = frozenset(("outputs", "code_digests", SEAL))  # any of them makes a JSON object a manifest, if a damaged one
END = "\n}\n"
CURE = "`make verify CONFIG=… REPAIR=1` and the next run make it again"


def write_manifest(path: Path, record: Mapping[str, Any]) -> None:
    """Write a manifest under a digest of its own."""
    text = json_text(record)
    write_text(path, text.removesuffix(END) + _last_line(text))


def _last_line(text: str) -> str:
    """What a manifest ends with whose text is `text` without it."""
    return f',\n  "{SEAL}": "{hashlib.sha256(text.encode()).hexdigest()}"{END}'


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest's record without its digest; ArtifactError for one that is absent or damaged."""
    return _opened(_content(path), path)


def require_file(path: Path) -> None:
    """ArtifactError unless the file is there and holds what a manifest beside it says."""
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; the stage before writes it")
    named, damaged = beside(path.parent)
    if path.name in named:
        if sha256_file(path) not in named[path.name]:
            raise ArtifactError(f"{path}: differs from its manifest; {CURE}")
    elif damaged and path.name not in damaged:
        raise ArtifactError(f"{path}: cannot be checked, as {damaged[0]} beside it is damaged; {CURE}")


def read_json(path: Path) -> Any:
    """A JSON file's value, held against its manifest; ArtifactError where it is absent, altered or no JSON."""
    require_file(path)
    return _json(_content(path), path)


def beside(folder: Path) -> tuple[dict[str, set[str]], list[str]]:
    """What the manifests of a folder say: hashes by the name of a file; and the names of those that are damaged."""
    named: dict[str, set[str]] = {}
    damaged = []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            outputs = _named_in(path)
        except ArtifactError:
            damaged.append(path.name)
            continue
        for file, sha in outputs:
            named.setdefault(file, set()).add(sha)
    return named, damaged


_SEEN: dict[bytes, tuple[tuple[str, str], ...]] = {}  # sound files by their content, which a report asks for often


def _named_in(path: Path) -> tuple[tuple[str, str], ...]:
    """(name, hash) of each output that a JSON file names; none in one that is no manifest."""
    content = _content(path)
    key = hashlib.sha256(content).digest()
    if key not in _SEEN:
        _SEEN[key] = _outputs(content, path)
    return _SEEN[key]


def _outputs(content: bytes, path: Path) -> tuple[tuple[str, str], ...]:
    record = _json(content, path)
    if not isinstance(record, dict) or MARKS.isdisjoint(record):
        return ()
    try:
        outputs = _opened(content, path)["outputs"].values()
        return tuple((PurePosixPath(output["path"]).name, str(output["sha256"])) for output in outputs)
    except (LookupError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: names no outputs with their hashes; {CURE}") from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file; the stage before writes it") from error
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from error


def _json(content: bytes, path: Path) -> Any:
    try:
        return json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: not readable JSON ({error}); {CURE}") from error


def _opened(content: bytes, path: Path) -> dict[str, Any]:
    record = _json(content, path)
    if not isinstance(record, dict):
        raise ArtifactError(f"{path}: a manifest is a JSON object; {CURE}")
    if unknown := sorted(record.keys() - KEYS - {SEAL}):
        raise ArtifactError(f"{path}: no manifest has a key '{unknown[0]}'; {CURE}")
    if SEAL not in record:
        return record
    text = content.decode()
    if not text.endswith(_last_line(text[: -len(_last_line(""))] + END)):
        raise ArtifactError(f"{path}: differs from its own digest; {CURE}")
    del record[SEAL]
    return record
