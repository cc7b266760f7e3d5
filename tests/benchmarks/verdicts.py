"""`python -m tests.benchmarks.verdicts`: are the engine's verdicts those of a second run of the official code?

256 points in each of three regimes (`tests.benchmarks.regimes`), two seeds of the official AutoAttack and two of the
engine. Hours on two cores; every block of points is kept in results/verdicts, and the next call goes on from there.
Once all are there, or with --collect, what they say is written to results/published/verdicts.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from stages.core.files import atomic
from tests.benchmarks.engine import engine
from tests.benchmarks.regimes import REGIMES, ROOT, Points, load, official

POINTS = 256
BLOCK = 64
SEEDS = (0, 1)
PARTS = ROOT / "results/verdicts"
SIDES: dict[str, Callable[[Points, float, int], list[str]]] = {
    "official": official,
    "float32": engine,
    "bfloat16": partial(engine, precision="bfloat16"),
}


def main() -> None:
    """Attack what is not attacked yet, block by block."""
    cli = argparse.ArgumentParser(prog="python -m tests.benchmarks.verdicts", description=__doc__)
    cli.add_argument("--side", choices=sorted(SIDES), nargs="*", default=sorted(SIDES), help="default: all")
    cli.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = cli.parse_args()
    points = load(POINTS, args.threads)
    for side in args.side:
        for regime in REGIMES:
            for seed in SEEDS:
                for start in range(0, POINTS, BLOCK):
                    block(points, side, regime, seed, start)


def block(points: Points, side: str, regime: str, seed: int, start: int) -> None:
    """Attack one block of points, unless that is done for this checkpoint."""
    path = PARTS / f"{side}-{regime}-seed{seed}-{start:03}.json"
    if path.exists() and json.loads(path.read_text())["checkpoint"] == points.sha256:
        return
    part = points.take(start, start + BLOCK)
    started = time.monotonic()
    broken = SIDES[side](part, REGIMES[regime], seed)
    record = {
        "checkpoint": points.sha256,
        "indices": part.indices.tolist(),
        "broken_by": broken,
        "seconds": round(time.monotonic() - started, 1),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        Path(temporary).write_text(json.dumps(record))
    print(f"{path.stem}: {broken.count('')} of {len(broken)} survive, {record['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
