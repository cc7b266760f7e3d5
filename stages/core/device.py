"""The device a stage computes on, and the settings that make its numbers repeatable."""

import contextlib
import random
from typing import Any

import numpy as np
import torch

from stages.core import host
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
    host.limit_threads(threads)
    if threads > 0:
        torch.set_num_threads(threads)
        with contextlib.suppress(RuntimeError):  # torch takes this number once a process, before its first use
            torch.set_num_interop_threads(threads)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return chosen


def describe_device(device: torch.device) -> str:
    """The device in words, for a manifest."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else host.describe()


def computed_on(device: torch.device) -> dict[str, Any]:
    """What a manifest says of the device, its threads and the peak memory, the GPU's too where one was used."""
    peaks = {"device": torch.cuda.max_memory_allocated(device)} if device.type == "cuda" else {}
    return {
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": {"host": host.peak_memory(), **peaks},
    }
