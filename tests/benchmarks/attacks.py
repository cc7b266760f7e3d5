"""`python -m tests.benchmarks.attacks`: seconds of the engine beside those of the official AutoAttack.

Points that the classifier of `tests.benchmarks.regimes` gets right, in three regimes; three interleaved repeats with
seeds 0 to 2, each side in a process of its own. In the regime of the largest batches the reference also runs without
the allocator's settings that every job of ours gets. Ratios are the official code's seconds over ours in the same
repeat. The last line is JSON. CPU or GPU, under half an hour on two cores; --points-of robust=64 and the like take more
points, for longer.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torchattacks

from stages.core.device import describe_device
from tests.benchmarks.engine import engine
from tests.benchmarks.regimes import REGIMES, ROOT, Points, load, official
from workflow.launch.job import ALLOCATOR

POINTS = {"robust": 24, "half": 12, "none": 64}
REPEATS = 3
REFERENCES, OURS = ("official", "official, allocator as it is", "torchattacks"), ("float32", "bfloat16")
LARGEST = "none"
CLAIMS = {"robust": "aa_robust", "half": "aa_half", "none": "aa_none"}
Seconds = dict[str, dict[str, list[float]]]


def main() -> None:
    """Time every side in every regime, and print what that makes."""
    cli = argparse.ArgumentParser(prog="python -m tests.benchmarks.attacks", description=__doc__)
    cli.add_argument("--threads", type=int, default=torch.get_num_threads())
    cli.add_argument("--device", default="cpu")
    cli.add_argument("--repeats", type=int, default=REPEATS)
    cli.add_argument("--points-of", nargs="*", default=[], metavar="REGIME=POINTS")
    cli.add_argument("--side", nargs=3, metavar=("SIDE", "REGIME", "SEED"), help=argparse.SUPPRESS)
    args = cli.parse_args()
    counts = {**POINTS, **{name: int(count) for name, count in (pair.split("=") for pair in args.points_of)}}
    if args.side:
        side, regime, seed = args.side
        print(json.dumps(timed(side, load(counts[regime], args.threads, args.device), REGIMES[regime], int(seed))))
        return
    points = load(max(counts.values()), args.threads, args.device)
    print(f"classifier {points.sha256}", flush=True)
    seconds: Seconds = {regime: {side: [] for side in sides(regime)} for regime in REGIMES}
    survivors: dict[str, dict[str, list[int]]] = {regime: {side: [] for side in sides(regime)} for regime in REGIMES}
    command = [sys.executable, "-m", "tests.benchmarks.attacks", "--threads", str(args.threads)]
    command += ["--device", args.device, "--points-of", *(f"{name}={count}" for name, count in counts.items())]
    for seed in range(args.repeats):
        for regime in REGIMES:
            for side in sides(regime):
                allocator = {} if side.endswith("as it is") else ALLOCATOR
                environ = {key: value for key, value in os.environ.items() if key not in ALLOCATOR} | allocator
                done = subprocess.run(
                    [*command, "--side", side, regime, str(seed)], env=environ, cwd=ROOT, capture_output=True, text=True
                )
                if done.returncode:
                    raise SystemExit(done.stderr)
                found = json.loads(done.stdout.splitlines()[-1])
                seconds[regime][side].append(found["seconds"])
                survivors[regime][side].append(found["survivors"])
                print(f"{regime}, {side}: {found['seconds']:.1f} s, {found['survivors']} survive", flush=True)
    report(seconds, survivors, counts, describe_device(torch.device(args.device)), args.threads, points.sha256)


def sides(regime: str) -> list[str]:
    """Who runs in a regime."""
    return [side for side in (*REFERENCES, *OURS) if regime == LARGEST or not side.endswith("as it is")]


def timed(side: str, points: Points, epsilon: float, seed: int) -> dict[str, Any]:
    """Seconds and survivors of one side, once."""
    run: Callable[[], list[str]] = {
        "torchattacks": lambda: torchattacks_run(points, epsilon, seed),
        "float32": lambda: engine(points, epsilon, seed),
        "bfloat16": lambda: engine(points, epsilon, seed, precision="bfloat16"),
    }.get(side, lambda: official(points, epsilon, seed))
    with torch.no_grad():
        points.model(points.images)  # the first forward of a process is slow for anyone
    started = time.perf_counter()
    broken = run()
    return {"seconds": time.perf_counter() - started, "survivors": broken.count("")}


def torchattacks_run(points: Points, epsilon: float, seed: int) -> list[str]:
    """torchattacks' AutoAttack: fewer steps than the official one, and no word of what broke a point."""
    ensemble = torchattacks.AutoAttack(
        points.model, norm="Linf", eps=epsilon, version="standard", n_classes=10, seed=seed
    )
    x_adv = ensemble(points.images, points.labels)
    with torch.no_grad():
        fooled = points.model(x_adv).argmax(dim=1) != points.labels
    return ["broken" if one else "" for one in fooled.tolist()]


def report(
    seconds: Seconds,
    survivors: dict[str, dict[str, list[int]]],
    counts: dict[str, int],
    device: str,
    threads: int,
    checkpoint: str,
) -> None:
    """The ratios, a line each, and all in one JSON object."""
    found: dict[str, float] = {}
    for regime, of_side in seconds.items():
        for ours in OURS:
            for reference in (side for side in of_side if side in REFERENCES):
                ratios = [theirs / own for theirs, own in zip(of_side[reference], of_side[ours], strict=True)]
                median = statistics.median(ratios)
                print(f"{regime}: {reference} / {ours}: {median:.2f} [{min(ratios):.2f}, {max(ratios):.2f}]")
                found[f"{regime}: {reference} / {ours}"] = round(median, 3)
    claims = {name: max(found[f"{regime}: official / {side}"] for side in OURS) for regime, name in CLAIMS.items()}
    for regime, name in CLAIMS.items():
        claims[f"{name}_float32"] = found[f"{regime}: official / float32"]
    kept = ROOT / "results/published/verdicts/summary.json"
    lost = json.loads(kept.read_text())["lost_verdicts"] if kept.exists() else {}
    best = {name: max(OURS, key=lambda side: found[f"{regime}: official / {side}"]) for regime, name in CLAIMS.items()}
    counts_lost = {"lost_verdicts": lost.get("float32"), "lost_verdicts_bfloat16": lost.get("bfloat16")}
    environment = {
        "device": device, "threads": threads, "torch": torch.__version__, "checkpoint": checkpoint, "points": counts,
        "survivors": survivors, "allocator": ALLOCATOR,
    }  # fmt: skip
    print(
        json.dumps(
            {**claims, "best": best, **counts_lost, "ratios": found, "seconds": seconds, "environment": environment}
        )
    )


if __name__ == "__main__":
    main()
