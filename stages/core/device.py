"""The device a stage computes on, and the settings that make its numbers repeatable."""

import contextlib
import os
import platform
import random
import resource

import numpy as np
import pyarrow
import torch
from threadpoolctl import threadpool_limits

from stages.core.errors import StageError


def choose_device(name: str) -> torch.device:
    """The torch device by name; 'auto' is the GPU if there is one. A GPU that is asked for must be there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise StageError(f"device '{name}' is asked for and no GPU is visible; set `device: auto` or check the driver")
    try:
        chosen = torch.device(name)
    except RuntimeError as error:
        raise StageError(f"device '{name}' is unknown; write auto, cpu, cuda or cuda:1") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise StageError(
            f"device '{name}' is asked for and {torch.cuda.device_count()} GPU(s) are visible, from cuda:0"
        )
    return chosen


def prepare(device: str, threads: int, seed: int) -> torch.device:
    """Choose the device, fix threads and global seeds, and make float32 mean float32 (no TF32), repeatably."""
    chosen = choose_device(device)
    if threads > 0:
        limit_threads(threads)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return chosen


def limit_threads(threads: int) -> None:
    """Let every library of this process compute on `threads` CPU threads: torch, OpenMP's and BLAS's, and Arrow."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)  # for libraries that are not loaded yet
    threadpool_limits(threads)
    torch.set_num_threads(threads)
    with contextlib.suppress(RuntimeError):  # torch takes this number once a process, before its first use
        torch.set_num_interop_threads(threads)
    pyarrow.set_cpu_count(threads)


def describe_device(device: torch.device) -> str:
    """The device in words, for a manifest."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"


def peak_memory(device: torch.device) -> dict[str, int]:
    """Peak memory of this process, and of the GPU where one was used, in bytes."""
    peaks = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    if device.type == "cuda":
        peaks["device"] = torch.cuda.max_memory_allocated(device)
    return peaks
