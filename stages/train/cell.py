"""`python -m stages.train.cell`: what one pass of an image costs on this machine, by the network on standard input.

A process of its own, so that its peak memory is a network's and nobody else's.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.core import host
from stages.core.config.recipe import Precision
from stages.core.device import prepare
from stages.core.job.stage import one_line_errors
from stages.core.models.checkpoint import built
from stages.core.models.folding import folded
from stages.core.models.precision import at_precision
from stages.train.trained import frozen

SECONDS = 0.5  # the least time that a batch is measured in
FEW, MORE = 16, 48


def cell(architecture: dict[str, Any], side: int, precision: Precision, device: torch.device) -> dict[str, float]:
    """Seconds of an image's passes, by kind; bytes of a process, and of every image in a training batch.

    architecture: as a checkpoint's header says it. `search` is an inner attack's at this precision, `folded` a search
    by way of the folded copy.
    """
    model = built(architecture).to(device)
    few, more = (torch.rand(count, 3, side, side, device=device) for count in (FEW, MORE))
    _train(model, few, precision)
    low = _peak(device)
    _train(model, more, precision)
    slope = max(0.0, (_peak(device) - low) / (MORE - FEW))
    searched, copied = frozen(model.eval(), precision, few), folded(model, few)
    passes: dict[str, Callable[[Tensor], object]] = {
        "forward": lambda images: _forward(model.eval(), images),
        "search": lambda images: _search(searched.requires_grad_(False), images),
        "folded": lambda images: _search(copied, images),
        "train": lambda images: _train(model.train().requires_grad_(True), images, precision),
    }
    seconds = {name: _seconds(run, more) for name, run in passes.items()}
    return {**seconds, "memory": max(0.0, low - FEW * slope), "memory_an_image": slope}


@torch.no_grad()
def _forward(model: torch.nn.Module, images: Tensor) -> None:
    model(images)


def _search(model: torch.nn.Module, images: Tensor) -> None:
    images = images.clone().requires_grad_(True)
    torch.autograd.grad(model(images).logsumexp(1).sum(), images)


def _train(model: torch.nn.Module, images: Tensor, precision: Precision) -> None:
    labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    F.cross_entropy(at_precision(model, images, precision), labels).backward()


def _seconds(run: Callable[[Tensor], object], images: Tensor) -> float:
    """Seconds of an image, after one batch for warming up."""
    run(images)
    batches, started = 0, time.perf_counter()
    while batches < 2 or time.perf_counter() - started < SECONDS:
        run(images)
        if images.is_cuda:
            torch.cuda.synchronize()
        batches += 1
    return (time.perf_counter() - started) / (batches * len(images))


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return host.peak_memory()


if __name__ == "__main__":
    with one_line_errors():
        asked = json.loads(sys.stdin.read())
        place = prepare(asked.pop("device"), asked.pop("threads"), 0)
        began = time.monotonic()
        measured = cell(**asked, device=place)
        print(json.dumps({**measured, "measuring": time.monotonic() - began}))
