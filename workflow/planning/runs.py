"""From an experiment to its runs: what each job reads, writes and depends on, and where it lies.

A run's folder is named for people and for identity: method, what differs from its preset, and eight hex digits of
every setting that can change its result, in a canonical form that later options leave as it is (config/section.py).
Where files come from (folder) and titles are no part of it.
`code` of a job chains the digests of its own code and of all jobs before it, so that a rerun that was cut short
between two stages is never taken for fresh.
"""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stages.core.code import code_digest
from stages.core.config.attacks import Attack, AttackSettings
from stages.core.config.known import Known, check_attack, known
from stages.core.config.method import Method, TrainSettings
from stages.core.config.moco import Features
from stages.core.config.plugins import module_name
from stages.core.config.structure import StructureChoice
from stages.core.errors import ConfigError
from stages.core.files import canonical_json, digest
from workflow.planning.attack_jobs import attack_jobs
from workflow.planning.experiment import Experiment, check_method

ATTACK_SEED = 0
NAMED_DIFFERENCES = 4
DATA_MODULES = ("stages.data.__main__",)
PRETRAIN_MODULES = ("stages.features.pretrain",)
EMBED_MODULES = ("stages.features.embed", "stages.features.source")
NEIGHBORS_MODULES = ("stages.neighbors.__main__",)
STRUCTURE_MODULES = ("stages.structure.__main__",)


@dataclass(frozen=True)
class Job:
    """One job of a stage: its folder, its settings (canonical JSON) and the chained digest of its code.

    modules: those whose import closures are the stage's own code; its manifest holds their digest.
    """

    folder: str
    settings: str
    code: str
    inputs: dict[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()

    def path(self, name: str) -> str:
        """A file in the job's folder."""
        return f"{self.folder}/{name}"


@dataclass(frozen=True)
class TrainJob(Job):
    """A training run of one seed, and what the tables say of it."""

    name: str = ""
    seed: int = 0
    selects: bool = False


@dataclass
class Plan:
    """Every job of an experiment by its wildcard value, and the tables' own plans."""

    experiment: Experiment
    locations: dict[str, dict[str, str | None]] = field(default_factory=dict)
    data: dict[str, Job] = field(default_factory=dict)
    pretrain: dict[str, Job] = field(default_factory=dict)
    embed: dict[str, Job] = field(default_factory=dict)
    neighbors: dict[str, Job] = field(default_factory=dict)
    structure: dict[str, Job] = field(default_factory=dict)
    train: dict[str, TrainJob] = field(default_factory=dict)
    attack: dict[str, Job] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    table_code: dict[str, str] = field(default_factory=dict)


class Planner:
    """Builds a Plan; jobs that several tables ask for are made once."""

    def __init__(self, experiment: Experiment, root: Path) -> None:
        self.experiment = experiment
        self.root = root
        self.plan = Plan(experiment)

    def data(self, dataset: str) -> tuple[str, Job]:
        """The job that prepares a data set's images."""
        settings = self.experiment.datasets[dataset].data
        given = settings.model_dump(mode="json", exclude={"title", "folder"})
        key = f"{dataset}-{digest(settings.identity())}"
        folder = f"results/data/{key}"
        self.plan.locations[key] = settings.model_dump(mode="json", include={"folder"})
        modules = (*DATA_MODULES, module_name("sources", settings.source))
        job = Job(
            folder,
            canonical_json(given),
            code_digest(modules),
            {"unlabelled": f"{folder}/unlabelled.safetensors"} if settings.unlabelled else {},
            modules,
        )
        return key, self.plan.data.setdefault(key, job)

    def known(self, dataset: str) -> Known:
        """What is known of a data set; its classes too once its images are prepared."""
        settings = self.experiment.datasets[dataset].data
        have = known(settings)
        if have.classes is None:
            try:
                manifest = json.loads((self.root / self.data(dataset)[1].path("manifest.json")).read_text("utf-8"))
                have = replace(have, classes=len(manifest["facts"]["train"]["class_counts"]))
            except (OSError, ValueError, KeyError, TypeError):
                return have
        return have

    def embed(self, dataset: str, space: str = "features") -> tuple[str, Job]:
        """The job that embeds a data set's training images, and before it the one that pre-trains MoCo."""
        data_key, data = self.data(dataset)
        features = Features(source="pixels") if space == "pixels" else self.experiment.datasets[dataset].features
        code = data.code
        inputs = {"train": data.path("train.safetensors")}
        if features.source == "moco":
            trained = Features(moco=features.moco, seed=features.seed)
            key = f"{dataset}-{digest([data_key, trained.identity()])}"
            code = _chain(code, code_digest(PRETRAIN_MODULES))
            wanted = {**inputs, "test": data.path("test.safetensors"), **data.inputs}
            settings = canonical_json(trained.model_dump(mode="json"))
            pretrain = Job(f"results/features/{key}", settings, code, wanted, PRETRAIN_MODULES)
            self.plan.pretrain.setdefault(key, pretrain)
            inputs["encoder"] = pretrain.path("encoder.safetensors")
        code = _chain(code, code_digest(EMBED_MODULES))
        what = "pixels" if features.source == "pixels" else features.embedding
        key = f"{dataset}-{what}-{digest([data_key, features.identity()])}"
        settings = canonical_json(features.model_dump(mode="json"))
        job = Job(f"results/features/{key}", settings, code, inputs, EMBED_MODULES)
        return key, self.plan.embed.setdefault(key, job)

    def neighbors(self, dataset: str, space: str = "features") -> tuple[str, Job]:
        """The jobs that index and search a data set's embeddings."""
        embed_key, embed = self.embed(dataset, space)
        search = self.experiment.datasets[dataset].neighbors
        key = f"{dataset}-{digest([embed_key, search.identity()])}"
        code = _chain(embed.code, code_digest(NEIGHBORS_MODULES))
        inputs = {"embeddings": embed.path("embeddings.parquet"), "train": embed.inputs["train"]}
        settings = canonical_json(search.model_dump(mode="json"))
        job = Job(f"results/neighbors/{key}", settings, code, inputs, NEIGHBORS_MODULES)
        return key, self.plan.neighbors.setdefault(key, job)

    def structure(self, dataset: str, choice: StructureChoice, held_out: int) -> tuple[str, Job]:
        """The job that makes structure vectors; images held out are nobody's companion."""
        neighbors_key, neighbors = self.neighbors(dataset, choice.space)
        settings = choice.structure(held_out)
        kind = choice.kind if choice.vector == "distances" else f"{choice.kind}-{choice.vector}"
        key = f"{dataset}-{kind}-m{choice.m}-{digest([neighbors_key, settings.identity()])}"
        code = _chain(neighbors.code, code_digest(STRUCTURE_MODULES))
        inputs = {"neighbors": neighbors.path("neighbors.parquet"), "embeddings": neighbors.inputs["embeddings"]}
        given = canonical_json(settings.model_dump(mode="json"))
        job = Job(f"results/structure/{key}", given, code, inputs, STRUCTURE_MODULES)
        return key, self.plan.structure.setdefault(key, job)

    def train(self, dataset: str, name: str, changes: dict[str, Any], seed: int) -> tuple[str, TrainJob]:
        """The job that trains a method with dotted changes; its helper net's job too."""
        experiment, section = self.experiment, self.experiment.datasets[dataset]
        method = experiment.method(dataset, name, changes)
        check_method(experiment, dataset, name, method)
        recipe, augment = experiment.recipe(dataset, method.recipe)
        held_out = method.held_out(recipe)
        monitor = experiment.monitor
        data_key, data = self.data(dataset)
        inputs = {"train": data.path("train.safetensors"), "test": data.path("test.safetensors")}
        code, identity = [data.code, code_digest(_method_modules(method))], [data_key]
        choices: dict[str, StructureChoice] = {"monitor": monitor.structure}
        if method.lsp is not None:
            choices["structure"] = method.lsp
        for use, choice in choices.items():
            key, structure = self.structure(dataset, choice, held_out)
            inputs[use] = structure.path("structure.parquet")
            code.append(structure.code)
            identity.append(key)
        if method.helper is not None:
            key, helper = self.train(dataset, method.helper, {}, seed)
            inputs["helper"] = helper.path("model.safetensors")
            code.append(helper.code)
            identity.append(key)
        untitled = method.model_copy(update={"title": ""})
        settings = TrainSettings(
            method=untitled, recipe=recipe, model=section.model, augment=augment, monitor=monitor, seed=seed
        )
        differences = _differences(method, experiment.preset(name))
        folder = _run_name(name, differences, digest([identity, {**settings.identity(), "seed": None}]))
        key = f"{dataset}/{folder}/seed{seed}"
        job = TrainJob(
            folder=f"results/train/{key}",
            settings=canonical_json(settings.model_dump(mode="json")),
            code=_chain(*code),
            inputs=inputs,
            modules=_method_modules(method),
            name=folder,
            seed=seed,
            selects=method.selects(recipe),
        )
        return key, self.plan.train.setdefault(key, job)

    def attack_all(self, wanted: dict[str, dict[str, Attack]]) -> dict[str, dict[str, str]]:
        """Jobs for the attacks wanted of each checkpoint, by id; returns {train key: {attack id: attack job}}."""
        found: dict[str, dict[str, str]] = {}
        for train_key, attacks in wanted.items():
            trained = self.plan.train[train_key]
            dataset = train_key.partition("/")[0]
            for attack in attacks.values():
                try:
                    check_attack(attack, self.known(dataset))
                except ValueError as error:
                    raise ConfigError(f"datasets.{dataset} under {attack.kind}: {error}") from error
            folder = f"results/attack/{train_key}"
            found[train_key] = {}
            for group, members in attack_jobs(attacks, self.experiment.separate_attacks, self.root / folder).items():
                kinds = (module_name("attacks", attack.kind) for attack in members.values())
                modules = ("stages.attack.__main__", *kinds)
                settings = AttackSettings(attacks=members, seed=ATTACK_SEED).model_dump(mode="json")
                job = Job(
                    folder,
                    canonical_json(settings),
                    _chain(trained.code, code_digest(modules)),
                    {"checkpoint": trained.path("model.safetensors"), "test": trained.inputs["test"]},
                    modules,
                )
                self.plan.attack[f"{train_key}/{group}"] = job
                for attack_id in members.keys() & attacks.keys():
                    found[train_key].setdefault(attack_id, f"{train_key}/{group}")
        return found


def _method_modules(method: Method) -> tuple[str, ...]:
    return (
        "stages.train.__main__",
        module_name("objectives", method.objective.name),
        module_name("augmentations", method.augmentation.name),
    )


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
