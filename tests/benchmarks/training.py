"""`python -m tests.benchmarks.training`: seconds of our steps beside those of a plain loop (`tests.benchmarks.plain`).

A width-16 ResNet-18 at 32x32 on 20,000 images of CIFAR-10-JPEG, batch 128 (MoCo: 256), one thread; a stated number of
steps after two for warming up; three interleaved repeats, each side in a process of its own, on the CPU the plain loop
also without the allocator's settings that every job of ours gets. Ratios are the plain loop's seconds over ours; LSP's
are multiples of our own vanilla step in the same precision, with neighbors in pixel space, as the benchmarks'
classifier needs no MoCo. `knn`: plain FAISS over the stage's exact search, on pixels projected at random onto 128
dimensions. The last line is JSON. CPU, twenty minutes. On a GPU, `--device cuda --width 64`: ten times the steps, and
ours with TF32 as well. Compiled sides compile while they warm up.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import faiss
import torch

from stages.core.artifacts import ImageSet, Structure, read_images, read_structure
from stages.core.config.method import TrainSettings
from stages.core.config.moco import Moco
from stages.core.config.structure import NeighborSearch
from stages.core.device import describe_device, prepare
from stages.core.images.pixels import to_unit
from stages.core.models import Classifier
from stages.features import pretrain
from stages.neighbors.index import build_index
from stages.neighbors.search import search
from stages.train import loop
from tests.benchmarks import plain
from tests.benchmarks.regimes import EXPERIMENT, ROOT, planned
from workflow.launch.job import ALLOCATOR
from workflow.planning.stages import DATA, STRUCTURE

STEPS = {"vanilla": 10, "at": 3, "trades": 3, "lsp": 3, "neighborhoods": 4, "moco": 4, "knn": 1}
WARM, REPEATS, WIDTH, ANCHORS = 2, 3, 16, 2000
LONGER = {"cpu": 1, "cuda": 10}  # times as many steps
PRECISIONS = ("exact", "float32", "bfloat16")
COMPILED, TF32 = ", compiled", ", TF32"
METHODS: dict[str, dict[str, Any]] = {
    "vanilla": {},
    "at": {"objective": "at"},
    "trades": {"objective": "trades"},
    "lsp": {"lsp": {}},
    "neighborhoods": {"lsp": {"batches": "neighborhoods"}},
}
RECIPE = {"nesterov": True, "weight_decay": 5e-4, "epochs": 1, "schedule": {"kind": "constant"}}
PLAIN, BARE = "plain", "plain, allocator as it is"


class EnoughError(Exception):
    """As many steps as are timed."""


def main() -> None:
    """Time every side of every method, and print what that makes."""
    cli = argparse.ArgumentParser(prog="python -m tests.benchmarks.training", description=__doc__)
    cli.add_argument("--repeats", type=int, default=REPEATS)
    cli.add_argument("--device", default="cpu", choices=sorted(LONGER))
    cli.add_argument("--threads", type=int, default=1)
    cli.add_argument("--width", type=int, default=WIDTH)
    cli.add_argument("--classifier", type=Path, default=EXPERIMENT, help="the experiment whose images are trained on")
    cli.add_argument("--side", nargs=2, metavar=("METHOD", "SIDE"), help=argparse.SUPPRESS)
    args = cli.parse_args()
    if args.side:
        method, side = args.side
        print(json.dumps(timed(method, side, args)))
        return
    seconds: dict[str, dict[str, list[float]]] = {
        method: {side: [] for side in sides(method, args.device)} for method in STEPS
    }
    for _ in range(args.repeats):
        for method, of_side in seconds.items():
            for side, found in of_side.items():
                found.append(apart(method, side, args))
                print(f"{method}, {side}: {found[-1]:.3f} s a step", flush=True)
    report(seconds, args)


def sides(method: str, device: str) -> list[str]:
    """Who runs a method."""
    if method == "knn":
        return [PLAIN, "exact"]
    ours = [precision for precision in PRECISIONS if (method, precision) != ("moco", "float32")]
    if method not in ("moco", "knn"):
        ours += [f"{precision}{COMPILED}" for precision in PRECISIONS[1:]]
    if device == "cuda":
        ours += [f"float32{TF32}"] * (method != "moco")
        return ours if "lsp" in METHODS.get(method, {}) else [PLAIN, *ours]
    return ours if "lsp" in METHODS.get(method, {}) else [PLAIN, BARE, *ours]


def apart(method: str, side: str, args: argparse.Namespace) -> float:
    """Seconds of a step, measured in a process of its own."""
    environ = {key: value for key, value in os.environ.items() if key not in ALLOCATOR}
    environ |= {} if side == BARE else ALLOCATOR
    command = [sys.executable, "-m", "tests.benchmarks.training", "--side", method, side, "--device", args.device]
    command += ["--threads", str(args.threads), "--width", str(args.width), "--classifier", str(args.classifier)]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads(done.stdout.splitlines()[-1]))


def timed(method: str, side: str, args: argparse.Namespace) -> float:
    """Seconds of a step."""
    device = prepare(args.device, args.threads, 0)
    plan, moco = planned(args.classifier), Moco(width=args.width, batch_size=256)
    (data,), (structure,) = plan.of(DATA).values(), plan.of(STRUCTURE).values()
    images = read_images(ROOT / data.file("train"))
    if method == "knn":
        return neighbors(images, side)
    steps = WARM + LONGER[args.device] * STEPS[method] + 1
    if side in (PLAIN, BARE):
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = True, False  # as PyTorch has it
        part = slice(0, steps * moco.batch_size)
        given = images.images[part], images.labels[part]
        if method == "moco":
            return between(list(islice(plain.moco_loop(*given, moco, device), steps)))
        return between(list(islice(plain.loop(method, *given, args.width, device), steps)))
    there = ImageSet(images.images.to(device), images.labels.to(device), images.classes)
    if method == "moco":
        return between(pretraining(there, moco.model_copy(update={"precision": side}), steps))
    read = read_structure(ROOT / structure.file("structure"))
    near = Structure(read.companions.to(device), read.vectors.to(device))
    return between(training(method, side, there, near, steps, args.width))


def between(times: list[float]) -> float:
    """The mean step, those for warming up left out: a GPU does several while the host waits for one."""
    return (times[-1] - times[WARM]) / (len(times) - 1 - WARM)


@contextlib.contextmanager
def stopped(owner: Any, name: str, steps: int) -> Iterator[list[float]]:
    """The times at which a function that every step calls once is called; the block ends at the last."""
    original, times = getattr(owner, name), list[float]()

    def noting(*given: Any, **named: Any) -> Any:
        if torch.cuda.is_available() and len(times) in (WARM, steps - 1):
            torch.cuda.synchronize()
        times.append(time.perf_counter())
        if len(times) == steps:
            raise EnoughError
        return original(*given, **named)

    setattr(owner, name, noting)
    try:
        with contextlib.suppress(EnoughError):
            yield times
    finally:
        setattr(owner, name, original)


def training(method: str, side: str, images: ImageSet, structure: Structure, steps: int, width: int) -> list[float]:
    """When the steps of a training begin, as the stage trains."""
    settings = TrainSettings.model_validate(
        {
            "method": METHODS[method],
            "recipe": {
                **RECIPE,
                "precision": side.partition(",")[0],
                "tf32": side.endswith(TF32),
                "compile": side.endswith(COMPILED),
            },
            "model": {"width": width},
            "augment": {"padding": 4},
            "monitor": {"test_images": 0},
        }
    )
    model = Classifier("resnet18", width=width, classes=len(images.classes)).to(images.images.device)
    read = structure if settings.method.lsp else None
    with tempfile.TemporaryDirectory() as folder, stopped(loop, "method_loss", steps) as times:
        loop.train(model, settings, loop.Inputs(images, images, read, None, None), Path(folder) / "state.pt", "")
    return times


def pretraining(images: ImageSet, settings: Moco, steps: int) -> list[float]:
    """When the steps of MoCo's begin, as the stage trains."""
    with tempfile.TemporaryDirectory() as folder, stopped(pretrain, "train_step", steps) as times:
        pretrain.pretrain(settings, 0, images, images, None, Path(folder) / "state.pt", "")
    return times


def neighbors(images: ImageSet, side: str) -> float:
    """Seconds of the 32 nearest of 2,000 images among all: plain FAISS, or the stage's exact search."""
    pixels, settings = to_unit(images.images.flatten(1)), NeighborSearch()
    embeddings = pixels @ torch.randn(pixels.shape[1], Moco().dim, generator=torch.Generator().manual_seed(0))
    index: Any = faiss.IndexFlatL2(embeddings.shape[1])
    if side == PLAIN:
        index.add(embeddings.numpy())
    else:
        index = build_index(embeddings, settings, torch.device("cpu"))
    anchors = torch.arange(ANCHORS)
    started = time.perf_counter()
    if side == PLAIN:
        index.search(embeddings[anchors].numpy(), settings.depth + 1)
    else:
        search(index, embeddings, anchors, depth=settings.depth, extra=settings.extra, probes=settings.probes)
    return time.perf_counter() - started


def report(seconds: dict[str, dict[str, list[float]]], args: argparse.Namespace) -> None:
    """The ratios, a line each, and all in one JSON object."""

    def ratio(said: str, above: list[float], below: list[float]) -> float:
        ratios = [one / other for one, other in zip(above, below, strict=True)]
        median = statistics.median(ratios)
        print(f"{said}: {median:.2f} [{min(ratios):.2f}, {max(ratios):.2f}]")
        return round(median, 3)

    found: dict[str, float] = {}
    for method, of_side in seconds.items():
        for side in (side for side in of_side if side not in (PLAIN, BARE)):
            for reference in (name for name in (PLAIN, BARE) if name in of_side):
                name = f"{method}: {reference} / {side}"
                found[name] = ratio(name, of_side[reference], of_side[side])
            if "lsp" in METHODS.get(method, {}):
                name = f"{method}: {side} / vanilla, {side}"
                found[name] = ratio(name, of_side[side], seconds["vanilla"][side])
    claims: dict[str, float] = {}
    for method in ("vanilla", "at", "trades"):
        claims[f"train_{method}"] = found[f"{method}: {PLAIN} / bfloat16"]
        claims[f"train_{method}_float32"] = found[f"{method}: {PLAIN} / float32"]
        claims[f"train_{method}_compiled"] = found[f"{method}: {PLAIN} / bfloat16{COMPILED}"]
    claims["lsp_exact"] = found["lsp: exact / vanilla, exact"]
    claims["lsp_neighborhoods"] = found["neighborhoods: exact / vanilla, exact"]
    claims["moco"], claims["knn"] = found[f"moco: {PLAIN} / bfloat16"], found[f"knn: {PLAIN} / exact"]
    environment = {
        "device": describe_device(torch.device(args.device)), "threads": args.threads, "torch": torch.__version__,
        "steps": {name: LONGER[args.device] * count for name, count in STEPS.items()}, "width": args.width,
        "allocator": ALLOCATOR,
    }  # fmt: skip
    print(json.dumps({**claims, "ratios": found, "seconds": seconds, "environment": environment}))


if __name__ == "__main__":
    main()
