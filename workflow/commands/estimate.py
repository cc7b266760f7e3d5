"""`python -m workflow.commands.estimate`: what an experiment's jobs will take on this machine, before they run.

How often each job runs its images through a network is counted (`stages.train.passes`, `stages.attack.passes`), what
such a pass costs here is measured (`stages.train.cell`, seconds for each network). Beside the jobs that are done stands
what they took. Data, embedding, neighbors, structure vectors, reading weights, pictures and tables, seconds to minutes
each, are not in it.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.core.config.attacks import Attack
from stages.core.config.certificate import CertificateSettings
from stages.core.config.known import SPLIT_SHARE
from stages.core.config.lipschitz import LipschitzSettings
from stages.core.config.method import TrainSettings
from stages.core.config.moco import Features
from stages.core.config.plugins import declares
from stages.core.errors import ArtifactError, ConfigError, StageError
from stages.core.files import canonical_json
from stages.core.manifests import read_manifest
from workflow.commands.cli import ROOT, experiment_of, run
from workflow.planning.certificates import OTHER
from workflow.planning.experiment import DEAR
from workflow.planning.jobs import Job, Plan, prepared_by
from workflow.planning.sizes import dataset_of, sizes
from workflow.planning.stages import ATTACK, CERTIFY, LIPSCHITZ, LONG, PRETRAIN, RESULTS, TRAIN
from workflow.planning.tables import make_plan

HOUR, GIB = 3600, 2**30
Passes = Counter[str]
Cell = dict[str, float]
# What the protocol of AutoAttack does with a point that survives it (100 iterations, 9 targets, 5,000 queries): APGD
# 1,000 searches, FAB 900 and as many forwards alone, Square 5,000. One that falls costs a few.
SURVIVOR = Counter({"forward": 5900, "search": 1900})
FALLER = Counter({"forward": 2, "search": 1})


def times(passes: Mapping[str, float], number: float) -> Passes:
    """Passes of so many images; Counter's numbers need not be whole."""
    return Counter({kind: count * number for kind, count in passes.items()})  # type: ignore[misc]


def asked(module: str, question: Any) -> Any:
    """What a stage's module answers: a process of its own, as planning loads no torch."""
    done = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, input=json.dumps(question), capture_output=True, text=True
    )
    if done.returncode:
        raise StageError(f"{module}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


@dataclass
class Estimate:
    """Seconds from and to, the peak memory in bytes, and what the jobs that are done took and were estimated at."""

    jobs: int = 0
    least: float = 0.0
    most: float = 0.0
    memory: float = 0.0
    took: float = 0.0
    thought: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(self, other: "Estimate") -> None:
        """Take in another's."""
        self.jobs += other.jobs
        self.least, self.most, self.took = self.least + other.least, self.most + other.most, self.took + other.took
        self.memory = max(self.memory, other.memory)
        self.thought = [mine + theirs for mine, theirs in zip(self.thought, other.thought, strict=True)]


@dataclass(frozen=True)
class Sizes:
    """Training, test and unlabelled images, and their side in pixels."""

    train: int
    test: int
    side: int
    unlabelled: int


def _ours(backbone: str, width: int, activation: str = "relu") -> dict[str, Any]:
    """The header of a net of ours; its speed does not hang on how many classes it has."""
    return {"backbone": backbone, "width": width, "activation": activation, "classes": 10}


class Estimator:
    """Estimates of an experiment's jobs."""

    def __init__(self, plan: Plan, root: Path = Path()) -> None:
        self.plan, self.root, self._makers = plan, root, plan.makers()
        self._cells: dict[str, Cell] = {}
        self._of_step = self._counted("stages.train.passes", [job.settings for job in plan.train.values()])
        dear = {*DEAR, *plan.experiment.separate_attacks}
        raw = [attack for job in plan.attack.values() for attack in json.loads(job.settings)["attacks"].values()]
        self._of_certificate = asked("stages.attack.certificate.passes", None) if plan.certify else {}
        self._of_lipschitz = self._counted("stages.lipschitz.passes", [job.settings for job in plan.lipschitz.values()])
        alike = [canonical_json(attack) for attack in raw if attack["kind"].replace("-", "_") not in dear]
        self._of_attack = self._counted("stages.attack.passes", alike)

    def _counted(self, module: str, settings: list[str]) -> dict[str, Passes]:
        once = list(dict.fromkeys(settings))
        counted = asked(module, [json.loads(one) for one in once]) if once else []
        return {one: Counter(passes) for one, passes in zip(once, counted, strict=True)}

    def job(self, job: Job) -> Estimate:
        """Of one job of a stage that takes long."""
        how = {
            PRETRAIN: self._pretrain,
            TRAIN: self._train,
            ATTACK: self._attack,
            CERTIFY: self._certify,
            LIPSCHITZ: self._lipschitz,
        }[job.stage]
        cell, least, most, batch = how(job)
        seconds = [cell["start"] + sum(cell[kind] * part[kind] for kind in part) for part in (least, most)]
        found = Estimate(1, seconds[0], seconds[1], cell["memory"] + batch * cell["memory_an_image"])
        try:
            record = read_manifest(self.root / job.file("manifest"))
            found.took, found.thought = float(record["seconds"]), seconds
            found.memory = max(found.memory, *record["peak_memory_bytes"].values())
        except (ArtifactError, ValueError, KeyError, TypeError):
            pass
        return found

    def _pretrain(self, job: Job) -> tuple[Cell, Passes, Passes, int]:
        moco, have = Features.model_validate_json(job.settings).moco, self._sizes(job)
        images = moco.epochs * (have.train + have.unlabelled) * (2 if moco.symmetric else 1)
        passes = times({"forward": 1, "train": 1}, images)
        cell = self._cell(_ours("resnet18", moco.width), have, moco.precision, job)
        return cell, passes, passes, 2 * moco.batch_size

    def _train(self, job: Job) -> tuple[Cell, Passes, Passes, int]:
        settings, have = TrainSettings.model_validate_json(job.settings), self._sizes(job)
        recipe, monitor, method = settings.recipe, settings.monitor, settings.method
        held_out = min(method.held_out(recipe), have.train // SPLIT_SHARE)
        scored = held_out * method.selects(recipe) + min(monitor.test_images, have.test)
        step, measured = self._of_step[job.settings], monitor.anchors + monitor.training_batches * recipe.batch_size
        epoch = times(step, have.train - held_out) + times({"forward": 2, "search": recipe.attack.steps}, scored)
        epoch += times({"forward": 1 + monitor.structure.m}, measured)
        passes = times(epoch, recipe.epochs)
        cell = self._cell(self._architecture(job), have, recipe.precision, job)
        return cell, passes, passes, round(recipe.batch_size * step["train"])

    def _attack(self, job: Job) -> tuple[Cell, Passes, Passes, int]:
        attacked = self._attacked(job)
        have = self._sizes(attacked)
        least, most, batch = Passes(), Passes(), 0
        for raw in json.loads(job.settings)["attacks"].values():
            attack = Attack.model_validate(raw)
            images = min(attack.images or have.test, have.test) * len(attack.rungs())
            alike = self._of_attack.get(canonical_json(raw))
            passes = [times(alike or one, images) for one in (FALLER, SURVIVOR)]
            if any(declares("attacks", attack.kind, what) for what in ("FOLDED", "ALL_AT_ONCE")):
                passes = [by_folded(one) for one in passes]
            least, most = least + passes[0], most + passes[1]
            batch = max(batch, min(attack.batch_size, images))
        return self._cell(self._architecture(attacked), have, "exact", job), least, most, batch

    def _certify(self, job: Job) -> tuple[Cell, Passes, Passes, int]:
        attacked = self._attacked(job)
        have = self._sizes(attacked)
        images = min(CertificateSettings.model_validate_json(job.settings).images, have.test)
        others = sum(name.startswith(OTHER) for name in job.inputs)
        passes = [self._certified(images, others, one) for one in (FALLER, SURVIVOR)]
        least, most = map(by_folded, passes)
        return self._cell(self._architecture(attacked), have, "exact", job), least, most, images

    def _certified(self, images: int, others: int, autoattack: Passes) -> Passes:
        counted = self._of_certificate
        tested = min(images, round(counted["tested"]["most"]))
        return (
            times(counted["image"], images)
            + times(autoattack, images)
            + times(counted["active"], tested)
            + times(counted["other"], images * others)
        )

    def _lipschitz(self, job: Job) -> tuple[Cell, Passes, Passes, int]:
        attacked = self._attacked(job)
        have = self._sizes(attacked)
        images = min(LipschitzSettings.model_validate_json(job.settings).images, have.test)
        passes = times(self._of_lipschitz[job.settings], images)
        return self._cell(self._architecture(attacked), have, "exact", job), passes, passes, images

    def _attacked(self, job: Job) -> Job:
        """What makes the checkpoint that a job attacks."""
        classifiers = [*self.plan.train.values(), *self.plan.weights.values()]
        return next(one for one in classifiers if one.file("checkpoint") == job.inputs["checkpoint"])

    def _architecture(self, attacked: Job) -> dict[str, Any]:
        """Of a classifier, as a checkpoint's header says it; ConfigError for outside weights that are not read yet."""
        if attacked.stage is TRAIN:
            model = TrainSettings.model_validate_json(attacked.settings).model
            return _ours(model.backbone, model.width, model.activation)
        try:
            facts = read_manifest(self.root / attacked.file("manifest"))["facts"]
            told = ("architecture", "classes", "width", "code")
            return {"architecture": facts["architecture"], **{key: facts[key] for key in told if key in facts}}
        except (ArtifactError, ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{attacked.inputs['file']}: which net it holds is known once it is read; run"
                f" `{self.plan.experiment.command} --until weights` first"
            ) from None

    def _cell(self, architecture: dict[str, Any], have: Sizes, precision: str, job: Job) -> Cell:
        experiment, needs = self.plan.experiment, self.plan.experiment.stage_resources(job.resources)
        network = {"architecture": architecture, "side": have.side, "precision": precision}
        place = {"device": experiment.device if needs.gpu else "cpu", "threads": needs.threads}
        key = canonical_json({**network, **place})
        if key not in self._cells:
            started = time.monotonic()
            found = asked("stages.train.cell", {**network, **place})
            self._cells[key] = {**found, "start": time.monotonic() - started - found["measuring"]}
        return self._cells[key]

    def _sizes(self, job: Job) -> Sizes:
        """The sizes of a job's data set; ConfigError where only its preparation will tell them."""
        data = prepared_by(self._makers, job)
        have = sizes(self.plan, data, self.root / RESULTS)
        if have.train is None or have.test is None or have.side is None:
            raise ConfigError(
                f"datasets.{dataset_of(data)}: how many images of what size it has is known once they are prepared; run"
                f" `{self.plan.experiment.command} --until data` first"
            )
        return Sizes(have.train, have.test, have.side, have.unlabelled or 0)


def by_folded(passes: Passes) -> Passes:
    """The same passes where a search goes by way of the folded copy."""
    return Passes({**passes, "search": 0, "folded": passes["search"]})


def main(argv: list[str] | None = None) -> None:
    """Print what each stage and each table will take, and how far off the estimate was of what is done."""
    plan = make_plan(experiment_of("estimate", __doc__ or "", argv))
    estimator = Estimator(plan)
    of_job = {job.first: estimator.job(job) for job in jobs(plan)}
    print(f"{'':24} jobs  job-hours             peak memory  done: took / estimated (hours)")
    for stage in LONG:
        show(stage.name, [of_job[job.first] for job in plan.of(stage).values()])
    for table in plan.tables.values():
        show(table.plan.table, [of_job[path] for path in behind(plan, table.plan.files()) if path in of_job])
    show("all", list(of_job.values()))
    print("job-hours: of one job after another; `from - to` where they hang on how many images survive AutoAttack")


def jobs(plan: Plan) -> list[Job]:
    """Those that are estimated."""
    return [job for stage in LONG for job in plan.of(stage).values()]


def behind(plan: Plan, files: list[str]) -> list[str]:
    """The first output of every job that a table's files rest on, each once."""
    made = plan.makers()
    found: dict[str, None] = {}
    waiting = [path for path in files if path in made]
    while waiting:
        job = made[waiting.pop()]
        if job.first not in found:
            found[job.first] = None
            waiting += [path for path in job.inputs.values() if path in made]
    return list(found)


def show(name: str, estimates: list[Estimate]) -> None:
    """One line."""
    total = Estimate()
    for estimate in estimates:
        total.add(estimate)
    if not total.jobs:
        return
    hours = _range(total.least, total.most)
    took = f"{total.took / HOUR:.2f} / {_range(*total.thought)}" if total.took else ""
    print(f"{name:24} {total.jobs:4}  {hours:20}  {total.memory / GIB:8.2f} GiB  {took}")


def _range(least: float, most: float) -> str:
    """Hours of seconds, from and to where they differ."""
    low, high = f"{least / HOUR:.2f}", f"{most / HOUR:.2f}"
    return high if low == high else f"{low} - {high}"


if __name__ == "__main__":
    run(main)
