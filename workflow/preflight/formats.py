"""Whether a file begins, and where its format says so ends, as files of its kind do; nothing of it is unpacked."""

import os
from collections.abc import Callable
from pathlib import Path

START = 64
WEB_PAGE, POINTER = b"<", b"version https://git-lfs"
PICKLE, ZIP, MATLAB, PARQUET = b"\x80", b"PK\x03\x04", b"MATLAB", b"PAR1"
LARGEST_HEADER = 100_000_000  # bytes of a safetensors header; its readers take no more


def fault(path: Path, kind: str) -> str | None:
    """What is wrong with a file that should be of a kind (a key of KINDS); None for nothing that can be seen."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(START)
            stream.seek(max(0, size - 8))
            end = stream.read()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not size:
        return "is empty"
    if kind != "bytes" and start.lstrip().startswith(WEB_PAGE):
        return "is a web page"
    if start.startswith(POINTER):
        return "is a Git LFS pointer; run `git lfs pull` where it comes from"
    return None if KINDS[kind](start, end, size) else f"does not look like {WORDS[kind]}"


def _is_parquet(start: bytes, end: bytes, size: int) -> bool:
    footer = int.from_bytes(end[:4], "little")
    return start.startswith(PARQUET) and end.endswith(PARQUET) and 0 < footer <= size - 12


def _is_safetensors(start: bytes, end: bytes, size: int) -> bool:
    header = int.from_bytes(start[:8], "little")
    return 2 <= header <= min(size - 8, LARGEST_HEADER) and start[8:9] == b"{"


def _is_torch(start: bytes, end: bytes, size: int) -> bool:
    """A zip as torch.save writes since 2020, or a pickle as before."""
    return start.startswith((ZIP, PICKLE))


KINDS: dict[str, Callable[[bytes, bytes, int], bool]] = {
    "bytes": lambda start, end, size: True,
    "pickle": lambda start, end, size: start.startswith(PICKLE),
    "matlab": lambda start, end, size: start.startswith(MATLAB),
    "zip": lambda start, end, size: start.startswith(ZIP),
    "parquet": _is_parquet,
    "safetensors": _is_safetensors,
    "torch": _is_torch,
}
WORDS = {
    "pickle": "a batch of the official files",
    "matlab": "a MATLAB file",
    "zip": "a zip",
    "parquet": "a whole Parquet file",
    "safetensors": "a safetensors file",
    "torch": "a file of torch.save",
}


def kind_of_weights(path: Path) -> str:
    """What a file of weights should be, by its name."""
    return "safetensors" if path.suffix == ".safetensors" else "torch"


def expanded(written: str) -> tuple[Path, str | None]:
    """A path of a config with ~ and environment variables expanded, and a variable in it that is not set."""
    path = os.path.expandvars(written)
    unset = next((part for part in path.split(os.sep) if part.startswith("$")), None)
    return Path(path).expanduser(), unset
