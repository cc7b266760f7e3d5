"""`python -m tests.benchmarks.saving`: bytes and seconds of a saved state at the size of the paper's runs.

A cluster must leave this time, and that of one step, between SIGTERM and SIGKILL.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from stages.core.config.moco import Moco
from stages.core.config.recipe import Recipe
from stages.core.job.epochs import Epoch
from stages.core.models import Classifier
from stages.features import state as features_state
from stages.features.pretrain import begin
from stages.train import state as train_state
from stages.train.schedule import build_optimizer, build_schedule
from stages.train.streams import RandomStreams

IMAGES, STEPS, WIDTH = 50_000, 390, 64


def main() -> None:
    """Save each state a few times and print what it took."""
    cli = argparse.ArgumentParser(prog="python -m tests.benchmarks.saving", description=__doc__)
    cli.add_argument("--device", default="cpu", help="where the tensors are (default: cpu)")
    cli.add_argument("--folder", type=Path, default=Path(), help="the file system to write to (default: this folder's)")
    cli.add_argument("--saves", type=int, default=5, help="how often each state is saved (default: 5)")
    args = cli.parse_args()
    device = torch.device(args.device)
    states: dict[str, Callable[[Path, str], None]] = {"train": training(device).save, "pretrain": moco(device).save}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for name, save in states.items():
            path, seconds = Path(folder) / f"{name}.pt", []
            for _ in range(args.saves):
                started = time.monotonic()
                save(path, name)
                seconds.append(time.monotonic() - started)
            print(
                f"{name}: {path.stat().st_size} bytes, {args.saves} saves,"
                f" median {statistics.median(seconds):.3f} s, max {max(seconds):.3f} s"
            )


def training(device: torch.device) -> train_state.TrainState:
    """ResNet-18 with momentum and best weights, in the middle of an epoch."""
    model = Classifier("resnet18", width=WIDTH, classes=10).to(device)
    optimizer = build_optimizer(model, Recipe())
    schedule, _ = build_schedule(optimizer, Recipe(), STEPS)
    state = train_state.TrainState(model, optimizer, schedule, RandomStreams.seeded(0, device))
    state.current_epoch = train_state.Epoch(torch.randperm(IMAGES).to(device), STEPS, lr=0.1)
    step_with(model, optimizer)
    state.keep_best(0.0)
    return state


def moco(device: torch.device) -> features_state.PretrainState:
    """Both encoders with momentum and a full queue, in the middle of an epoch."""
    state = begin(Moco(width=WIDTH), 0, torch.zeros(IMAGES, 3, 1, 1, dtype=torch.uint8, device=device))
    state.current_epoch = Epoch(torch.randperm(IMAGES).to(device), STEPS)
    step_with(state.query, state.optimizer)
    return state


def step_with(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One step without slope, after which the optimizer holds a momentum for every parameter."""
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()


if __name__ == "__main__":
    main()
