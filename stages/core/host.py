"""The machine that a stage runs on, as far as torch has no part in it."""

import os
import platform
import resource
from typing import Any

import pyarrow
from threadpoolctl import threadpool_limits


def limit_threads(threads: int) -> None:
    """Let this process's libraries compute on so many threads: OpenMP's, BLAS's and Arrow; 0: as they choose."""
    if threads == 0:
        return
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)  # for libraries that are not loaded yet
    threadpool_limits(threads)
    pyarrow.set_cpu_count(threads)


def describe() -> str:
    """The CPU in words, for a manifest."""
    return f"cpu ({platform.machine()})"


def peak_memory() -> int:
    """Peak memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def computed_on() -> dict[str, Any]:
    """What a manifest says of the machine where torch had no part."""
    return {"device": describe(), "threads": pyarrow.cpu_count(), "peak_memory_bytes": {"host": peak_memory()}}
