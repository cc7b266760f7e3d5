"""`python -m tests.benchmarks.verdicts`: are the engine's verdicts those of a second run of the official code?

256 points in each of three regimes (`tests.benchmarks.regimes`), two seeds of the official AutoAttack and two of the
engine in each precision. Hours on two cores: every block of points is kept in results/published/verdicts, the next call
goes on from there, and once all are there, summary.json says what they come to.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import torch

from stages.core.code import code_digest
from stages.core.files import atomic
from tests.benchmarks.engine import engine
from tests.benchmarks.regimes import REGIMES, ROOT, Points, load, official

POINTS = 256
BLOCK = 64
SEEDS = (0, 1)
PARTS = ROOT / "results/published/verdicts"
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
    summarize()


def summarize() -> None:
    """Write what each side lost to the other: points that both its seeds call robust and some seed of the other breaks.

    Nothing is written while a block is missing. `official` against itself: points that one of its seeds alone breaks.
    """
    names = [
        f"{regime}-seed{seed}-{start:03}" for regime in REGIMES for seed in SEEDS for start in range(0, POINTS, BLOCK)
    ]
    missing = [f"{side}-{name}" for side in SIDES for name in names if not (PARTS / f"{side}-{name}.json").exists()]
    if missing:
        print(f"{len(missing)} blocks are missing, {missing[0]} is the first; no summary yet")
        return
    found: dict[str, dict[str, object]] = {}
    total = dict.fromkeys(SIDES.keys() - {"official"}, 0)
    for regime in REGIMES:
        broken = {side: [verdicts(side, regime, seed) for seed in SEEDS] for side in SIDES}
        official_runs = broken["official"]
        found[regime] = {"official against official": sorted(official_runs[0].keys() ^ official_runs[1].keys())}
        for side in SIDES:
            if side != "official":
                total[side] += len(lost(broken[side], official_runs))
                found[regime][f"lost by {side}"] = lost(broken[side], official_runs)
                found[regime][f"lost by official to {side}"] = lost(official_runs, broken[side])
    (PARTS / "summary.json").write_text(json.dumps({"lost_verdicts": total, "regimes": found}, indent=1) + "\n")


def verdicts(side: str, regime: str, seed: int) -> dict[int, str]:
    """What a run broke: index -> by what."""
    records = [
        json.loads((PARTS / f"{side}-{regime}-seed{seed}-{at:03}.json").read_text()) for at in range(0, POINTS, BLOCK)
    ]
    pairs = [pair for record in records for pair in zip(record["indices"], record["broken_by"], strict=True)]
    return {index: by for index, by in pairs if by}


def lost(ours: list[dict[int, str]], theirs: list[dict[int, str]]) -> dict[int, list[str]]:
    """Points that none of our runs breaks and some of theirs does, with what broke them."""
    return {
        index: [run[index] for run in theirs if index in run]
        for index in sorted(set().union(*theirs) - set().union(*ours))
    }


def block(points: Points, side: str, regime: str, seed: int, start: int) -> None:
    """Attack one block of points, unless that is done for this checkpoint, this radius and this code."""
    path = PARTS / f"{side}-{regime}-seed{seed}-{start:03}.json"
    code = version("pyautoattack") if side == "official" else code_digest(["stages.attack.attacks.autoattack_engine"])
    asked = {"checkpoint": points.sha256, "epsilon": REGIMES[regime], "code": code}
    if path.exists() and asked.items() <= json.loads(path.read_text()).items():
        return
    part = points.take(start, start + BLOCK)
    broken = SIDES[side](part, REGIMES[regime], seed)
    record = {
        **asked,
        "indices": part.indices.tolist(),
        "broken_by": broken,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(record))
    print(f"{path.stem}: {broken.count('')} of {len(broken)} survive", flush=True)


if __name__ == "__main__":
    main()
