"""Devices by name, and `prepare`: seeds, float32 as it is written, and no more CPU threads than were given."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stages.core.device import choose_device, prepare
from stages.core.errors import StageError
from tests.conftest import ROOT
from tests.unit.drawing import CPU

# Prints {work: the share of its CPU time that one thread alone has spent}.
SHARES = """
import json, os, sys
from pathlib import Path
import faiss, numpy as np, pyarrow as pa, pyarrow.parquet as pq, torch
from stages.core.device import prepare

table = pa.table({f"column {n}": np.random.randint(0, 1000, 500_000) for n in range(8)})
pq.write_table(table, sys.argv[1], compression="zstd", row_group_size=50_000)
images, weights = torch.rand(64, 16, 32, 32, requires_grad=True), torch.rand(16, 16, 3, 3)
matrix, points = np.random.rand(800, 800), np.random.rand(100_000, 32).astype(np.float32)
index = faiss.IndexFlatL2(32)
index.add(points)
works = {
    "convolution": lambda: torch.nn.functional.conv2d(images, weights, padding=1).sum().backward(),
    "einsum": lambda: np.einsum("ij,jk->ik", matrix, matrix, optimize=True),
    "search": lambda: index.search(points[:100], 20),
    "parquet": lambda: pq.read_table(sys.argv[1]),
}

def nanoseconds():
    tasks = Path("/proc/self/task").iterdir()
    return {task.name: int((task / "schedstat").read_text().split()[0]) for task in tasks}

for work in works.values():
    work()
prepare("cpu", 1, 0)
shares = {}
for name, work in works.items():
    before = nanoseconds()
    for _ in range(20):
        work()
    spent = [after - before.get(task, 0) for task, after in nanoseconds().items()]
    shares[name] = max(spent) / sum(spent)
print(json.dumps(shares))
"""

# Prints the number of threads of every pool, of libraries that were loaded before and after.
POOLS = """
import json
from concurrent.futures import ThreadPoolExecutor
from stages.core.device import prepare
prepare("cpu", 1, 0)
prepare("cpu", 1, 0)
import faiss, pyarrow, sklearn.cluster, threadpoolctl, torch
pools = {pool["filepath"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
print(json.dumps(pools | {
    "faiss": faiss.omp_get_max_threads(),
    "pyarrow": pyarrow.cpu_count(),
    "torch": torch.get_num_threads(),
    "torch in another thread": ThreadPoolExecutor(1).submit(torch.get_num_threads).result(),
    "torch among operations": torch.get_num_interop_threads(),
}))
"""


def printed(program: str, *words: str) -> object:
    """What a program prints as JSON, started where nothing in the environment limits threads."""
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", program, *words]
    return json.loads(subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_on_one_thread_every_library_computes_on_one_whatever_it_did_before(tmp_path: Path) -> None:
    shares = printed(SHARES, str(tmp_path / "table.parquet"))
    assert isinstance(shares, dict)
    assert len(shares) == 4
    assert min(shares.values()) > 0.8, shares


@pytest.mark.slow
def test_the_limit_holds_for_libraries_loaded_later_and_may_be_set_again() -> None:
    pools = printed(POOLS)
    assert isinstance(pools, dict)
    assert len(pools) > 6
    assert set(pools.values()) == {1}, pools


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "gpu", "", "cpu:x"])
def test_a_device_that_is_unknown_or_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(StageError, match=f"device '{name}'"):
        choose_device(name)


def test_a_gpu_beyond_those_visible_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(StageError, match="2 GPU"):
        choose_device("cuda:2")


def test_auto_is_the_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto") == torch.device(expected)


def test_prepare_seeds_the_global_stream_and_turns_tf32_off() -> None:
    with torch.random.fork_rng(devices=[]):
        draws = []
        for seed in (1, 1, 2):
            assert prepare("cpu", 0, seed) == CPU
            draws.append(torch.rand(3).tolist())
    assert draws[0] == draws[1] != draws[2]
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
