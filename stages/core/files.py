"""Files that appear whole or not at all, and their digests."""

import base64
import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.ceilings import AT_ONCE
from stages.core.errors import StageError
from stages.core.refused import refused

PACKED = "zlib:"
PROBE = bytes(2**20)
IN_RUST = re.compile(r"\(os error (\d+)\)")  # how a library in Rust, safetensors, tells of a refusal


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and renamed, on any error removed.

    It is locked while its writer lives, by which `leftovers` tells it from what a killed process left. What the
    operating system refuses is a StageError that names `path`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise refused(error, path) from error
    temporary = Path(name)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except StageError:
        raise
    except Exception as error:
        if cause := _refusal(error, temporary):
            raise refused(cause, path) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _refusal(error: Exception, temporary: Path) -> OSError | None:
    """What the system refused to a writer that failed, if it was that; a library that hides it is told by trying."""
    if isinstance(error, OSError) and error.errno is not None:
        return error
    if number := IN_RUST.search(str(error)):
        return OSError(int(number[1]), os.strerror(int(number[1])))
    try:
        with temporary.open("ab") as stream:
            stream.write(PROBE)
    except OSError as refusal:
        return refusal
    return None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: Path, text: str) -> None:
    """Write `text` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically, in the order it is given."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """A value as indented JSON, in the order it is given."""
    return json.dumps(_spelled(value), indent=2, ensure_ascii=False) + "\n"


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """One spelling for one value: sorted keys, no spaces, so equal settings give equal strings."""
    return json.dumps(_spelled(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _spelled(value: Any) -> Any:
    """A value with its infinities as "inf" and "-inf", which JSON has no numbers for and settings may hold."""
    if isinstance(value, dict):
        return {key: _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def packed_json(value: Any) -> str:
    """Canonical JSON, compressed for a command line, whose length is limited; `unpacked_json` reads it."""
    return PACKED + base64.b64encode(zlib.compress(canonical_json(value).encode(), 9)).decode()


def unpacked_json(text: str) -> Any:
    """The value of a JSON text, packed or plain."""
    if text.startswith(PACKED):
        unpacking = zlib.decompressobj()
        unpacked = unpacking.decompress(base64.b64decode(text.removeprefix(PACKED)), AT_ONCE)
        if unpacking.unconsumed_tail:
            raise ValueError(f"unpacks to more than {AT_ONCE} bytes")
        text = unpacked.decode()
    return json.loads(text)


def digest(value: Any, length: int = 8) -> str:
    """The first `length` hex digits of the SHA-256 of a JSON value in its canonical spelling."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]
