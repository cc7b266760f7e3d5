"""From an experiment to its runs: what each job reads and is told, and which code it depends on.

A run's folder is named for people and for identity: method, what differs from its preset, and eight hex digits of
every setting that can change its result, in a canonical form that later options leave as it is (config/section.py).
Where files come from (folder) and titles are no part of it.
`code` of a job chains the digests of its own code and of all jobs before it, so that a rerun that was cut short
between two stages is never taken for fresh.
"""

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from stages.core.code import code_digest
from stages.core.config.attacks import Attack, AttackSettings
from stages.core.config.checkpoint import WeightsSettings
from stages.core.config.method import Method, TrainSettings
from stages.core.config.moco import Features
from stages.core.config.needs import Attacked, Needs, Run, paddings
from stages.core.config.plugins import module_name
from stages.core.config.structure import StructureChoice
from stages.core.errors import ConfigError
from stages.core.files import canonical_json, digest, sha256_file
from workflow.planning.attack_jobs import attack_jobs
from workflow.planning.checks import check_method
from workflow.planning.experiment import Experiment
from workflow.planning.jobs import AttackJob, ClassifierJob, DataJob, Job, Plan, Training
from workflow.planning.stages import (
    ATTACK,
    DATA,
    EMBED,
    INDEX,
    NEIGHBORS,
    PRETRAIN,
    STRUCTURE,
    TRAIN,
    WEIGHTS,
    in_folder,
)

ATTACK_SEED = 0
NAMED_DIFFERENCES = 4
code_of = cache(code_digest)


class Planner:
    """Builds a Plan; jobs that several tables ask for are made once."""

    def __init__(self, experiment: Experiment, results: Path) -> None:
        self.experiment = experiment
        self.results = results
        self.plan = Plan(experiment)
        self._trainings: dict[tuple[str, str, str], Training] = {}
        self._attacks: dict[tuple[tuple[str, int], ...], tuple[str, tuple[str, ...]]] = {}

    def data(self, dataset: str) -> DataJob:
        """The job that prepares a data set's images."""
        settings = self.experiment.datasets[dataset].data
        given = settings.model_dump(mode="json", exclude={"title", "folder"})
        key = f"{dataset}-{digest(settings.identity())}"
        source = module_name("sources", settings.source)
        unlabelled = {"unlabelled": DATA.file("unlabelled", key)} if settings.unlabelled else {}
        job = DataJob(
            DATA,
            key,
            canonical_json(given),
            code_of((*DATA.modules, source)),
            unlabelled,
            components=(source,),
            place=settings.folder,
        )
        self.plan.needs.setdefault(key, Needs(dataset=dataset))
        return self.plan.data.setdefault(key, job)

    def _ask(self, data: DataJob, **needs: Any) -> None:
        """Note what jobs ask of a data set's sizes; what is asked of one by several stands there once."""
        before = self.plan.needs[data.key]
        for key, more in needs.items():
            if isinstance(more, tuple):
                needs[key] = tuple(dict.fromkeys((*getattr(before, key), *more)))
        self.plan.needs[data.key] = before.model_copy(update=needs)

    def embed(self, dataset: str, space: str = "features") -> Job:
        """The job that embeds a data set's training images, and before it the one that pre-trains MoCo."""
        data = self.data(dataset)
        features = Features(source="pixels") if space == "pixels" else self.experiment.datasets[dataset].features
        code = data.code
        inputs = {"train": data.file("train")}
        if features.source == "moco":
            trained = Features(moco=features.moco, seed=features.seed)
            key = f"{dataset}-{digest([data.key, trained.identity()])}"
            code = _chain(code, code_of(PRETRAIN.modules))
            wanted = {**inputs, "test": data.file("test"), **data.inputs}
            pretrain = Job(PRETRAIN, key, canonical_json(trained.model_dump(mode="json")), code, wanted)
            self.plan.pretrain.setdefault(key, pretrain)
            self._ask(data, moco_batch=features.moco.batch_size)
            inputs["encoder"] = pretrain.file("encoder")
        code = _chain(code, code_of(EMBED.modules))
        what = "pixels" if features.source == "pixels" else features.embedding
        key = f"{dataset}-{what}-{digest([data.key, features.identity()])}"
        job = Job(EMBED, key, canonical_json(features.model_dump(mode="json")), code, inputs)
        return self.plan.embed.setdefault(key, job)

    def neighbors(self, dataset: str, space: str = "features") -> Job:
        """The job that searches a data set's embeddings, and before it the one that indexes them."""
        embed = self.embed(dataset, space)
        search = self.experiment.datasets[dataset].neighbors
        key = f"{dataset}-{digest([embed.key, search.identity()])}"
        settings = canonical_json(search.model_dump(mode="json"))
        self._ask(self.data(dataset), depth=search.depth)
        code = _chain(embed.code, code_of(NEIGHBORS.modules))
        inputs = {"embeddings": embed.file("embeddings")}
        index = self.plan.index.setdefault(key, Job(INDEX, key, settings, code, inputs))
        inputs = {**inputs, "train": embed.inputs["train"]}
        inputs |= {name: index.file(name) for name in ("index", "checksum")}
        return self.plan.neighbors.setdefault(key, Job(NEIGHBORS, key, settings, code, inputs))

    def structure(self, dataset: str, choice: StructureChoice, held_out: int) -> Job:
        """The job that makes structure vectors; images held out are nobody's companion."""
        neighbors = self.neighbors(dataset, choice.space)
        settings = choice.structure(held_out)
        kind = choice.kind if choice.vector == "distances" else f"{choice.kind}-{choice.vector}"
        key = f"{dataset}-{kind}-m{choice.m}-{digest([neighbors.key, settings.identity()])}"
        code = _chain(neighbors.code, code_of(STRUCTURE.modules))
        inputs = {"neighbors": neighbors.file("neighbors"), "embeddings": neighbors.inputs["embeddings"]}
        job = Job(STRUCTURE, key, canonical_json(settings.model_dump(mode="json")), code, inputs)
        return self.plan.structure.setdefault(key, job)

    def train(self, dataset: str, name: str, changes: dict[str, Any], seed: int) -> ClassifierJob:
        """The job that trains a method with dotted changes; its helper net's job too."""
        training = self.training(dataset, name, changes)
        identity, inputs = training.identity, training.inputs
        if training.helper is not None:
            helper = self.train(dataset, training.helper, {}, seed)
            identity, inputs = (*identity, helper.key), {**inputs, "helper": helper.file("checkpoint")}
        folder = _run_name(name, training.differences, digest([identity, training.form]))
        key = f"{dataset}/{folder}/seed{seed}"
        if key not in self.plan.train:
            settings = canonical_json({**training.settings, "seed": seed})
            self.plan.train[key] = ClassifierJob(
                TRAIN, key, settings, training.code, inputs, training.components, folder, seed, training.selects
            )
        return self.plan.train[key]

    def weights(self, name: str) -> ClassifierJob:
        """The job that reads a checkpoint from elsewhere; its name holds the file's content, not its place."""
        given = self.experiment.checkpoints[name]
        file = Path(os.path.expandvars(given.file)).expanduser()
        content = _content(str(file), f"checkpoints.{name}.file")
        identity = [content]
        inputs = {"file": str(file)}
        if (code := (given.architecture or "").partition(":")[0]).endswith(".py"):
            identity.append(_content(code, f"checkpoints.{name}.architecture"))
            inputs["code"] = code
        data = self.data(given.dataset)
        settings = WeightsSettings(**given.model_dump(include=set(WeightsSettings.model_fields)))
        folder = _run_name(name, [], digest([data.key, *identity, settings.identity()]))
        job = ClassifierJob(
            WEIGHTS,
            f"{given.dataset}/{folder}/seed0",
            canonical_json(settings.model_dump(mode="json")),
            _chain(data.code, code_of(WEIGHTS.modules)),
            {**inputs, "test": data.file("test")},
            name=folder,
        )
        return self.plan.weights.setdefault(job.key, job)

    def training(self, dataset: str, name: str, changes: dict[str, Any]) -> Training:
        """All of a training run but its seed, made once for all seeds."""
        key = (dataset, name, repr(changes))
        if key not in self._trainings:
            self._trainings[key] = self._training(dataset, name, changes)
        return self._trainings[key]

    def _training(self, dataset: str, name: str, changes: dict[str, Any]) -> Training:
        experiment, section = self.experiment, self.experiment.datasets[dataset]
        method = experiment.method(dataset, name, changes)
        check_method(experiment, dataset, name, method)
        recipe, augment = experiment.recipe(dataset, method.recipe)
        monitor = experiment.monitor
        data = self.data(dataset)
        run = Run.of(name, method, recipe, monitor, section.neighbors.depth)
        self._ask(data, runs=(run,), paddings=paddings(section.augment, section.recipe_augments))
        inputs = {"train": data.file("train"), "test": data.file("test")}
        components = (
            module_name("objectives", method.objective.name),
            module_name("augmentations", method.augmentation.name),
        )
        code, identity = [data.code, code_of((*TRAIN.modules, *components))], [data.key]
        choices: dict[str, StructureChoice] = {"monitor": monitor.structure}
        if method.lsp is not None:
            choices["structure"] = method.lsp
        for use, choice in choices.items():
            structure = self.structure(dataset, choice, method.held_out(recipe))
            inputs[use] = structure.file("structure")
            code.append(structure.code)
            identity.append(structure.key)
        if method.helper is not None:
            code.append(self.training(dataset, method.helper, {}).code)
        settings = TrainSettings(
            method=method.model_copy(update={"title": ""}),
            recipe=recipe,
            model=section.model,
            augment=augment,
            monitor=monitor,
        )
        return Training(
            title=method.title,
            settings=settings.model_dump(mode="json"),
            identity=tuple(identity),
            form={**settings.identity(), "seed": None},
            differences=_differences(method, experiment.preset(name)),
            code=_chain(*code),
            inputs=inputs,
            components=components,
            helper=method.helper,
            selects=method.selects(recipe),
        )

    def attack_all(self, wanted: dict[str, dict[str, Attack]]) -> dict[str, dict[str, AttackJob]]:
        """Jobs for the attacks wanted of each checkpoint, by id; returns {train key: {attack id: attack job}}."""
        found: dict[str, dict[str, AttackJob]] = {}
        of_dataset: dict[str, dict[str, Attack]] = {}
        for train_key, attacks in wanted.items():
            of_dataset.setdefault(train_key.partition("/")[0], {}).update(attacks)
        for dataset, attacks in of_dataset.items():
            self._ask(self.data(dataset), attacks=tuple(map(Attacked.of, attacks.values())))
        for train_key, attacks in wanted.items():
            trained = self.plan.train.get(train_key) or self.plan.weights[train_key]
            inputs = {"checkpoint": trained.file("checkpoint"), "test": trained.inputs["test"]}
            found[train_key] = {}
            folder = in_folder(self.results, ATTACK.file("manifest", f"{train_key}/any")).parent
            for name, members, resources in attack_jobs(attacks, self.experiment.separate_attacks, folder):
                settings, components = self._told(members)
                key = f"{train_key}/{name}"
                code = _chain(trained.code, code_of((*ATTACK.modules, *components)))
                job = AttackJob(ATTACK, key, settings, code, inputs, components, resources)
                self.plan.attack[key] = job
                for attack_id in members.keys() & attacks.keys():
                    found[train_key].setdefault(attack_id, job)
        return found

    def _told(self, attacks: dict[str, Attack]) -> tuple[str, tuple[str, ...]]:
        """The settings and the components of a job of these attacks, made once for all checkpoints that share them."""
        same = tuple((key, id(attack)) for key, attack in attacks.items())
        if same not in self._attacks:
            settings = AttackSettings(attacks=attacks, seed=ATTACK_SEED).model_dump(mode="json")
            components = tuple(module_name("attacks", attack.kind) for attack in attacks.values())
            self._attacks[same] = canonical_json(settings), components
        return self._attacks[same]


def _content(file: str, key: str) -> str:
    """The SHA-256 of a file that a config names."""
    try:
        return sha256_file(Path(file))
    except OSError as error:
        raise ConfigError(f"{key}: {file} cannot be read ({error.strerror})") from error


def _run_name(method: str, differences: list[str], identity: str) -> str:
    parts = [method.replace("+", "-plus"), *differences[:NAMED_DIFFERENCES], identity]
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(parts))


def _differences(method: Method, base: Method) -> list[str]:
    """`m16`-like words for every setting in which a method differs from its base."""
    mine, theirs = (_flat(side.model_dump(mode="json", exclude={"title"})) for side in (method, base))
    return [f"{path.rpartition('.')[2]}{value}" for path, value in mine.items() if theirs.get(path) != value]


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _chain(*codes: str) -> str:
    return digest(list(codes), 16)
