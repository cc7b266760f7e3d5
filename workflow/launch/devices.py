"""The GPUs of which a job may be given one, and how many such jobs fit on them.

Which they are: the ids in LSP_GPUS ("0,1"; for a machine where the rest is wrong, and for tests), else those in
CUDA_VISIBLE_DEVICES, else all that nvidia-smi lists. Within a SLURM job they are those that SLURM gave it.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

SECONDS_FOR_AN_ANSWER = 60  # a driver that is not loaded yet takes some seconds a GPU
LISTED = re.compile(r"^(?:GPU (\d+):|\s+MIG ).*\(UUID: (\S+)\)", re.MULTILINE)


@dataclass(frozen=True)
class Device:
    """A GPU: its id as CUDA_VISIBLE_DEVICES takes it, and a name by which all jobs that may use it know it."""

    id: str
    name: str


def devices(environ: Mapping[str, str] = os.environ) -> list[Device]:
    """The GPUs, in the order given; none where there is none, or all are hidden."""
    slurm_job = environ.get("SLURM_JOB_ID")
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if slurm_job is not None:
        # Inside a cgroup every job counts its GPUs from 0, so that an id has a meaning within the job alone.
        return [Device(gpu, f"{gpu} of SLURM job {slurm_job}") for gpu in _ids(given or "")]
    installed = _installed()
    given = environ.get("LSP_GPUS", given)
    if given is None:
        return [Device(uuid, uuid) for uuids in installed.values() for uuid in _usable(uuids)]
    return [Device(gpu, _name(gpu, installed)) for gpu in _ids(given)]


def gpu_slots(jobs_per_gpu: int) -> int | None:
    """How many jobs may compute on GPUs at a time; None where there are no GPUs."""
    return len(devices()) * jobs_per_gpu or None


def _ids(given: str) -> list[str]:
    """Distinct ids; as for CUDA, none counts from the first that is empty or negative."""
    ids: list[str] = []
    for gpu in (part.strip() for part in given.split(",")):
        if not gpu or gpu.startswith("-"):
            break
        if gpu not in ids:
            ids.append(gpu)
    return ids


def _installed() -> dict[str, list[str]]:
    """{index: UUID of the GPU, UUIDs of its MIG instances}; empty where nvidia-smi does not work."""
    try:
        asked = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=SECONDS_FOR_AN_ANSWER
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    installed: dict[str, list[str]] = {}
    for index, uuid in LISTED.findall(asked.stdout):
        if index:
            installed[index] = [uuid]
        else:
            installed[next(reversed(installed))].append(uuid)
    return installed


def _usable(uuids: list[str]) -> list[str]:
    """The MIG instances of a GPU that is cut into such, else the GPU itself."""
    return uuids[1:] or uuids


def _name(gpu: str, installed: Mapping[str, list[str]]) -> str:
    """The UUID of a GPU given by index or by the beginning of its UUID; the id itself where it is unknown."""
    if gpu in installed:
        return _usable(installed[gpu])[0]  # of a GPU cut into instances, CUDA takes the first
    found = [uuid for uuids in installed.values() for uuid in uuids if uuid.startswith(gpu)]
    return found[0] if len(found) == 1 else gpu
