"""`python -m tests.benchmarks.verdicts`: are the engine's verdicts those of a second run of the official code?

256 points in each of three regimes (`tests.benchmarks.regimes`), two seeds of the official AutoAttack and two of the
engine in each precision. Hours on two cores: every block of points is kept in results/published/verdicts, the next call
goes on from there, and once all are there, summary.json says what they come to. On a GPU, with a ResNet-18 of full
size: `--device cuda --block 256 --classifier tests/benchmarks/classifier-full.yaml --into results/published/gpu`.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch

from stages.core.code import code_digest
from stages.core.device import describe_device
from stages.core.files import atomic
from tests.benchmarks.engine import engine
from tests.benchmarks.regimes import EXPERIMENT, REGIMES, ROOT, Points, load, official

POINTS = 256
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
    cli.add_argument("--device", default="cpu")
    cli.add_argument("--classifier", type=Path, default=EXPERIMENT, help="the experiment that trained it")
    cli.add_argument("--block", type=int, default=64, help="points attacked, and kept, at a time (default: 64)")
    cli.add_argument("--into", type=Path, default=PARTS, help=f"default: {PARTS.relative_to(ROOT)}")
    args = cli.parse_args()
    points, kept = load(POINTS, args.threads, args.device, args.classifier), Blocks(args.into, args.block)
    for regime in REGIMES:
        for seed in SEEDS:
            for side in args.side:
                for start in range(0, POINTS, args.block):
                    kept.attack(points, side, regime, seed, start)
    kept.summarize()


@dataclass(frozen=True)
class Blocks:
    """The folder of what is attacked already, `size` points a file."""

    folder: Path
    size: int

    def path(self, side: str, regime: str, seed: int, start: int) -> Path:
        """Where a block is kept."""
        return self.folder / f"{side}-{regime}-seed{seed}-{start:03}.json"

    def attack(self, points: Points, side: str, regime: str, seed: int, start: int) -> None:
        """Attack one block of points, unless that is done for this checkpoint, this radius and this code."""
        path = self.path(side, regime, seed, start)
        is_official = side == "official"
        code = version("pyautoattack") if is_official else code_digest(["stages.attack.attacks.autoattack_engine"])
        asked = {"checkpoint": points.sha256, "epsilon": REGIMES[regime], "code": code}
        if path.exists() and asked.items() <= json.loads(path.read_text()).items():
            return
        part = points.take(start, start + self.size)
        started = time.perf_counter()
        broken = SIDES[side](part, REGIMES[regime], seed)
        record = {
            **asked,
            "indices": part.indices.tolist(),
            "broken_by": broken,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "device": describe_device(points.images.device),
            "seconds": round(time.perf_counter() - started, 2),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(record))
        said = f"{broken.count('')} of {len(broken)} survive, {record['seconds']} s"
        print(f"{path.stem}: {said}", flush=True)

    def summarize(self) -> None:
        """Write what each side lost to the other: points both its seeds call robust and some seed of the other breaks.

        Nothing is written while a block is missing. `official` against itself: points that one of its seeds alone
        breaks.
        """
        keys = [(regime, seed, start) for regime in REGIMES for seed in SEEDS for start in range(0, POINTS, self.size)]
        paths = [self.path(side, *key) for side in SIDES for key in keys]
        if missing := [path for path in paths if not path.exists()]:
            print(f"{len(missing)} blocks are missing, {missing[0].stem} is the first; no summary yet")
            return
        found: dict[str, dict[str, object]] = {}
        total = dict.fromkeys(SIDES.keys() - {"official"}, 0)
        for regime in REGIMES:
            broken = {side: [self.verdicts(side, regime, seed) for seed in SEEDS] for side in SIDES}
            official_runs = broken["official"]
            found[regime] = {"official against official": sorted(official_runs[0].keys() ^ official_runs[1].keys())}
            for side in SIDES:
                if side != "official":
                    total[side] += len(lost(broken[side], official_runs))
                    found[regime][f"lost by {side}"] = lost(broken[side], official_runs)
                    found[regime][f"lost by official to {side}"] = lost(official_runs, broken[side])
        text = json.dumps({"lost_verdicts": dict(sorted(total.items())), "regimes": found}, indent=1)
        (self.folder / "summary.json").write_text(text + "\n")

    def verdicts(self, side: str, regime: str, seed: int) -> dict[int, str]:
        """What a run broke: index -> by what."""
        starts = range(0, POINTS, self.size)
        records = [json.loads(self.path(side, regime, seed, start).read_text()) for start in starts]
        pairs = [pair for record in records for pair in zip(record["indices"], record["broken_by"], strict=True)]
        return {index: by for index, by in pairs if by}


def lost(ours: list[dict[int, str]], theirs: list[dict[int, str]]) -> dict[int, list[str]]:
    """Points that none of our runs breaks and some of theirs does, with what broke them."""
    return {
        index: [run[index] for run in theirs if index in run]
        for index in sorted(set().union(*theirs) - set().union(*ours))
    }


if __name__ == "__main__":
    main()
