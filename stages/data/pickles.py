"""A pickle reader that cannot run code: only containers, numbers, text and NumPy arrays come out.

A pickle may name any function and have it called, so `pickle.load` on a file from elsewhere runs whatever its author
likes. Here the few names that rebuild a NumPy array are looked up in a table, and every other name is refused.
"""

import pickle
import pickletools
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stages.core.errors import ArtifactError
from stages.core.refused import one_line


def _encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    """How Python 3 spells bytes in an old pickle protocol; other encodings would reach into the codec registry."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes are spelled in latin1 only, not '{encoding}'")
    return text.encode("latin1")


def _rebuilder(protocol: int) -> Any:
    """NumPy's own rebuilding function, as an array itself names it: its module moved in NumPy 2."""
    reduced: Any = np.empty(1).__reduce_ex__(protocol)
    return reduced[0]


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode_latin1,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _rebuilder(2) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _rebuilder(5) for core in ("core", "_core")},
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}") from None


def _require_near_memos(stream: BinaryIO, size: int) -> None:
    """UnpicklingError for a pickle that numbers an object beyond its bytes: the reader keeps a list that long."""
    for opcode, argument, _ in pickletools.genops(stream):
        if "PUT" in opcode.name and isinstance(argument, int) and argument > size:
            raise pickle.UnpicklingError(f"it numbers an object {argument} in {size} bytes")


def read_pickle(path: Path) -> Any:
    """The content of a pickle, text of Python 2 read as latin1; ArtifactError for one that asks for anything else."""
    try:
        with path.open("rb") as stream:
            _require_near_memos(stream, path.stat().st_size)
            stream.seek(0)
            return _RestrictedUnpickler(stream, encoding="latin1").load()
    except Exception as error:  # whatever goes wrong inside an unpickler, the bytes are to blame
        reason = one_line(error)
        raise ArtifactError(
            f"{path}: not a pickle of plain containers and NumPy arrays ({reason}); get the official file again"
        ) from error
