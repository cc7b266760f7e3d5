"""Which GPUs a job may be given: those that LSP_GPUS, CUDA_VISIBLE_DEVICES, SLURM or nvidia-smi tell of."""

import os
import uuid
from pathlib import Path

import pytest

from workflow.launch.devices import devices, gpu_slots

TWO = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5d5ba0d6-d33d-2b2c)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-77aa01f3-0b1c-9e4d)
"""
CUT = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3)
  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-77aa01f3-0b1c-9e4d)
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without GPUs, on which nothing is set; what is put in the folder is found as a command."""
    for variable in ("LSP_GPUS", "CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(folder: Path, listed: str, status: int = 0) -> None:
    """An nvidia-smi that knows `-L` alone."""
    command = folder / "nvidia-smi"
    command.write_text(f"#!/bin/bash\n[ \"$*\" = -L ] || exit 2\nprintf '%s' '{listed}'\nexit {status}\n")
    command.chmod(0o755)


def ids() -> list[str]:
    return [device.id for device in devices()]


def names() -> list[str]:
    return [device.name for device in devices()]


def test_a_machine_without_gpus_has_no_devices_and_no_slots() -> None:
    assert devices() == []
    assert gpu_slots(4) is None


@pytest.mark.parametrize(("listed", "status"), [("No devices were found\n", 0), ("Driver mismatch\n", 18), (TWO, 9)])
def test_an_nvidia_smi_that_fails_or_lists_none_is_no_gpu(listed: str, status: int, machine: Path) -> None:
    install(machine, listed, status)
    assert gpu_slots(1) is None


def test_all_gpus_are_used_by_uuid_and_a_cut_one_by_its_instances(machine: Path) -> None:
    install(machine, TWO)
    assert ids() == names() == ["GPU-5d5ba0d6-d33d-2b2c", "GPU-77aa01f3-0b1c-9e4d"]
    assert (gpu_slots(1), gpu_slots(3)) == (2, 6)
    install(machine, CUT)
    assert ids() == names() == ["MIG-c6d4f1ef-42e4-5de3", "MIG-cba663e8-9bed-5b25", "GPU-77aa01f3-0b1c-9e4d"]
    assert gpu_slots(1) == 3


@pytest.mark.parametrize("variable", ["CUDA_VISIBLE_DEVICES", "LSP_GPUS"])
def test_given_ids_keep_their_spelling_and_order_and_every_spelling_of_a_gpu_has_one_name(
    variable: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(machine, TWO)
    for given in ("1", "GPU-77aa01f3-0b1c-9e4d", "GPU-77"):
        monkeypatch.setenv(variable, f" {given},0")
        assert ids() == [given, "0"]
        assert names() == ["GPU-77aa01f3-0b1c-9e4d", "GPU-5d5ba0d6-d33d-2b2c"]
        assert gpu_slots(2) == 4
    install(machine, CUT)
    monkeypatch.setenv(variable, "0")
    assert names() == ["MIG-c6d4f1ef-42e4-5de3"]


def test_ids_that_fit_no_gpu_or_several_are_their_own_names(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(machine, TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,GPU-,odd")
    assert ids() == names() == ["7", "GPU-", "odd"]


def test_lsp_gpus_overrides_what_else_is_known(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(machine, TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("LSP_GPUS", "0")
    assert ids() == ["0"]
    monkeypatch.setenv("LSP_GPUS", "")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert ids() == []


@pytest.mark.parametrize(
    ("given", "seen"), [("", []), ("-1", []), ("1,-1,0", ["1"]), ("1,,0", ["1"]), ("0,1,0", ["0", "1"])]
)
def test_ids_count_as_far_as_cuda_reads_them_and_once(
    given: str, seen: list[str], machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(machine, TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert ids() == seen
    assert gpu_slots(1) == (len(seen) or None)


def test_a_slurm_job_has_the_gpus_it_was_given_under_names_of_its_own(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(machine, TWO)
    monkeypatch.setenv("LSP_GPUS", "0,1")
    job = uuid.uuid4().hex
    monkeypatch.setenv("SLURM_JOB_ID", job)
    assert devices() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert ids() == ["0", "1"]
    other = devices({**os.environ, "SLURM_JOB_ID": "7"})
    assert not set(names()) & {device.name for device in other}
