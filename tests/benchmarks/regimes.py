"""What the attacks' benchmarks attack: one classifier, the test images it gets right, and three radii.

The classifier is a ResNet-18 at 32x32, adversarially trained on CIFAR-10-JPEG: of width 16 as `classifier.yaml` says,
or of full size as `classifier-full.yaml` does. How many points survive the official AutoAttack depends on the radius
alone: most, half or none of them.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from stages.core.artifacts import read_images
from stages.core.device import prepare
from stages.core.images.pixels import to_unit
from stages.core.models.checkpoint import load_classifier
from workflow.planning.jobs import Plan
from workflow.planning.load import load_experiment
from workflow.planning.stages import DATA, TRAIN
from workflow.planning.tables import make_plan

ROOT = Path(__file__).parents[2]
EXPERIMENT = Path(__file__).with_name("classifier.yaml")
FOLDER = "LSP_CIFAR10_JPEG"
REGIMES = {"robust": 2 / 255, "half": 8 / 255, "none": 48 / 255}
ATTACKS = ("apgd-ce", "apgd-t", "fab-t", "square")


@dataclass(frozen=True)
class Points:
    """A classifier in eval mode and test images (n, 3, 32, 32) that it gets right, each with its index in the file."""

    model: nn.Module
    images: Tensor
    labels: Tensor
    indices: Tensor
    sha256: str

    def take(self, start: int, stop: int) -> "Points":
        """Some of them."""
        part = slice(start, stop)
        return Points(self.model, self.images[part], self.labels[part], self.indices[part], self.sha256)


def planned(experiment: Path) -> Plan:
    """What an experiment of one data set and one method plans."""
    return make_plan(load_experiment([experiment], ROOT / "config.yaml"), ROOT / "results")


def load(count: int, threads: int, device: str = "cpu", experiment: Path = EXPERIMENT) -> Points:
    """The classifier and the first `count` test images that it gets right, on `device`."""
    if not os.environ.get(FOLDER):
        raise SystemExit(f"{FOLDER} names no folder; set it to the folder of CIFAR-10-JPEG's Parquet files")
    place = prepare(device, threads, 0)
    plan = planned(experiment)
    (data,), (train,) = plan.of(DATA).values(), plan.of(TRAIN).values()
    checkpoint = ROOT / train.file("checkpoint")
    if not checkpoint.exists():
        raise SystemExit(
            f"{checkpoint.relative_to(ROOT)} is missing; train it: snakemake --cores all --configfile {experiment}"
        )
    model, _ = load_classifier(checkpoint, place)
    test = read_images(ROOT / data.file("test"))
    images, labels = to_unit(test.images), test.labels
    with torch.no_grad():
        right = torch.cat([model(part.to(place)).argmax(dim=1).cpu() for part in images.split(250)]) == labels
    chosen = right.nonzero().flatten()[:count]
    if len(chosen) < count:
        raise SystemExit(f"{count} points are asked for and the classifier gets {len(chosen)} right; train it longer")
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    return Points(model, images[chosen].to(place), labels[chosen].to(place), chosen, digest)


def official(points: Points, epsilon: float, seed: int) -> list[str]:
    """Which of the official code's attacks breaks each point, "" for none; one batch, each attack on what is left."""
    images, labels = points.images, points.labels
    broken = [""] * len(labels)
    left = torch.arange(len(labels))
    ensemble = AutoAttack(points.model, norm="Linf", eps=epsilon, seed=seed, device=images.device)
    for attack in ATTACKS:
        if not len(left):
            break
        ensemble.attacks_to_run = [attack]
        x_adv, _ = ensemble.run_standard_evaluation(images[left], labels[left], batch_size=len(left))
        with torch.no_grad():
            fooled = (points.model(x_adv).argmax(dim=1) != labels[left]).cpu()
        for place in left[fooled].tolist():
            broken[place] = attack
        left = left[~fooled]
    return broken
