"""The state file of a run that may be interrupted: a `.pt` that belongs to one run, read without running its pickle."""

import contextlib
import pickle
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from stages.core.ceilings import require_plain_zip
from stages.core.errors import ArtifactError
from stages.core.files import atomic
from stages.core.job.progress import log_line

UNREADABLE = (
    ArtifactError,
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    MemoryError,
    NotImplementedError,
)


@contextlib.contextmanager
def taking_up(path: Path) -> Iterator[None]:
    """Within, a state of this very run that has not the form of its state is an ArtifactError: half of it is taken."""
    try:
        yield
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        fault = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ArtifactError(
            f"{path}: a saved state of this run that does not fit it ({fault}); move it away to start over"
        ) from error


def save_state(path: Path, key: str, state: dict[str, Any]) -> None:
    """Write a state whole or not at all; `key` names the run it belongs to."""
    with atomic(path) as temporary:
        torch.save({"key": key, "state": state}, temporary)


def load_state(path: Path, key: str, device: torch.device) -> dict[str, Any] | None:
    """The state of the same run, its tensors on `device`; None, and a line why, where it is damaged or another's."""
    if not path.is_file():
        return None
    try:
        record = _verified(path, device)
    except UNREADABLE as error:
        log_line(f"{path}: not a readable resume state ({type(error).__name__}); starting over")
        return None
    if record.get("key") != key:
        log_line(f"{path}: belongs to other settings, inputs or code; starting over")
        return None
    return record["state"]


def _verified(path: Path, device: torch.device) -> dict[str, Any]:
    """The saved record; one of UNREADABLE for a damaged file, whose checksums torch.load itself does not compare."""
    require_plain_zip(path)
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"{damaged} differs from its checksum")
    record = torch.load(path, map_location=device, weights_only=True)
    if not isinstance(record, dict) or not isinstance(record.get("state"), dict):
        raise ValueError("not a saved state")
    return record
