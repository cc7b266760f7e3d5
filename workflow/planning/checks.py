"""What is refused before any job starts: names that lead nowhere, and settings that do not fit together."""

import contextlib
import itertools
from collections.abc import Iterator

from stages.core.config.known import check_kept, known, odd_steps
from stages.core.config.messages import located
from stages.core.config.method import Method
from stages.core.config.needs import Attacked, Needs, paddings
from stages.core.config.plugins import declares, nearest
from stages.core.config.plugins import known as known_plugins
from stages.core.errors import ConfigError
from workflow.planning.experiment import Dataset, Experiment
from workflow.planning.outside import check_checkpoints
from workflow.planning.presets import PRESETS
from workflow.planning.stages import LEAST_MEMORY, LEAST_WITHOUT_TORCH, RESOURCES


def check(experiment: Experiment) -> None:
    """Raise ConfigError for names that lead nowhere and for what no table names yet, before any job starts."""
    for kind in experiment.separate_attacks:
        if kind.replace("-", "_") not in (kinds := known_plugins("attacks")):
            raise ConfigError(f"separate_attacks: '{kind}' is no kind of attack {nearest(kind, kinds)}")
    for key, table in experiment.tables.items():
        where = f"tables.{key}"
        for kind, names, words in (
            ("datasets", table.datasets, list(experiment.datasets)),
            ("methods", table.names(), [*PRESETS, *experiment.methods, *experiment.checkpoints]),
            ("attacks", table.attacks, list(experiment.attacks)),
        ):
            for name in names:
                if name not in words:
                    raise ConfigError(f"{where}.{kind}: '{name}' is not known {nearest(name, words)}")
        for used in table.datasets:
            for name in table.attacks:
                have = known(experiment.datasets[used].data)
                for line in Attacked.of(experiment.attacks[name]).unmet(have):
                    raise ConfigError(located(f"attacks.{name} on {used}", line))
    _check_number(experiment)
    shown = [name for table in experiment.tables.values() for name in table.names()]
    for key, asked in (("certify", experiment.certify), ("lipschitz.methods", experiment.lipschitz.methods)):
        for name in asked if asked != "all" else ():
            if name not in shown:
                raise ConfigError(
                    f"{key}: '{name}' stands in no table {nearest(name, shown)}; only what is made can be"
                )
    check_checkpoints(
        experiment.checkpoints, experiment.tables, [*PRESETS, *experiment.methods], [*experiment.datasets]
    )
    for key, resources in experiment.resources.items():
        if key not in RESOURCES:
            raise ConfigError(f"resources.{key}: no such kind of job (known: {', '.join(RESOURCES)})")
        least = LEAST_WITHOUT_TORCH if key == "tables" else LEAST_MEMORY
        if resources.mem_mb < least:
            raise ConfigError(
                f"resources.{key}.mem_mb: {resources.mem_mb} is less than the {least} MB that its process holds idle;"
                " write 2000 or more, or leave it out"
            )
    for key, dataset in experiment.datasets.items():
        for name in dataset.methods:
            if name not in PRESETS and name not in experiment.methods:
                words = [*PRESETS, *experiment.methods]
                raise ConfigError(f"datasets.{key}.methods: '{name}' is not known {nearest(name, words)}")
        _check_dataset(experiment, key, dataset)


def _check_number(experiment: Experiment) -> None:
    """ConfigError for more runs than can be planned in seconds."""
    runs = sum(
        len(table.datasets) * len(table.choices()) * len(experiment.seeds if table.seeds is None else table.seeds)
        for table in experiment.tables.values()
    )
    if runs > experiment.most_runs:
        raise ConfigError(
            f"seeds: {len(experiment.seeds)} of them make {runs} rows times seeds, more than most_runs allows,"
            f" {experiment.most_runs}; name fewer seeds or rows, or raise most_runs"
        )


def _check_dataset(experiment: Experiment, key: str, dataset: Dataset) -> None:
    """ConfigError where a data set's own settings, or a method that is changed for it, cannot be."""
    with _faults_at(f"datasets.{key}"):
        check_kept(dataset.data)
    needs = Needs(
        dataset=key,
        paddings=paddings(dataset.augment, dataset.recipe_augments),
        moco_batch=dataset.features.moco.batch_size if dataset.features.source == "moco" else None,
        depth=dataset.neighbors.depth,
    )
    for line in needs.unmet(known(dataset.data)):
        raise ConfigError(line)
    for where, names in (
        ("recipes", [*dataset.recipes, *dataset.recipes.values()]),
        ("recipe_augments", [*dataset.recipe_augments]),
    ):
        for name in names:
            if name not in experiment.recipes:
                raise ConfigError(
                    f"datasets.{key}.{where}: recipe '{name}' is not defined {nearest(name, [*experiment.recipes])}"
                )
    for name in dict.fromkeys([*experiment.methods, *dataset.methods]):
        method = experiment.method(key, name, {})
        experiment.recipe(key, method.recipe)
        _check_helper(experiment, key, name, method)


def check_method(experiment: Experiment, dataset: str, name: str, method: Method) -> None:
    """Raise ConfigError where a method cannot run on a data set."""
    section = experiment.datasets[dataset]
    depth = section.neighbors.depth
    for key, choice in ((f"methods.{name}.lsp", method.lsp), ("monitor.structure", experiment.monitor.structure)):
        if choice is not None and choice.kind == "local" and choice.m > depth:
            raise ConfigError(
                f"{key}.m: {choice.m} neighbors are asked for and datasets.{dataset}.neighbors.depth"
                f" is {depth}; raise depth or lower m"
            )
    _check_helper(experiment, dataset, name, method)
    recipe, _ = experiment.recipe(dataset, method.recipe)
    if method.hold_out and recipe.selection != "best_robust":
        raise ConfigError(
            f"methods.{name}.hold_out: recipe {method.recipe} selects on no images that could be held out; drop"
            " hold_out, or name a recipe with `selection: best_robust`"
        )
    with _faults_at(f"datasets.{dataset}"):
        method.check_recipe(recipe)


def _check_helper(experiment: Experiment, dataset: str, name: str, method: Method) -> None:
    objective = method.objective.name
    needs = declares("objectives", objective, "NEEDS_HELPER")
    if needs and method.helper is None:
        raise ConfigError(f"methods.{name}: objective {objective} needs a helper net; set `helper: hat-helper`")
    if method.helper is None:
        return
    if not needs:
        raise ConfigError(f"methods.{name}.helper: objective {objective} asks no helper net; leave it out")
    if experiment.method(dataset, method.helper, {}).helper is not None:
        raise ConfigError(
            f"methods.{name}.helper: '{method.helper}' has a helper net of its own; name a method without one"
        )


def remarks(experiment: Experiment) -> list[str]:
    """Lines on what is allowed and rarely meant."""
    return [*odd_steps(experiment.recipes, experiment.attacks), *_augmented_otherwise(experiment)]


def _augmented_otherwise(experiment: Experiment) -> Iterator[str]:
    """A line for a recipe that stands in for a method's own, and not in what a data set augments by recipe."""
    said = set()
    for key, table in experiment.tables.items():
        trained = [choice for choice in table.choices() if choice.method not in experiment.checkpoints]
        for dataset, choice in itertools.product(table.datasets, trained):
            section = experiment.datasets[dataset]
            method = experiment.method(dataset, choice.method, choice.changes)
            usual, used = (
                section.recipes.get(recipe, recipe)
                for recipe in (experiment.preset(choice.method).recipe, method.recipe)
            )
            apart = section.recipe_augments
            if usual in apart and used not in apart and (dataset, used) not in said:
                said.add((dataset, used))
                yield (
                    f"datasets.{dataset}.recipe_augments: holds {usual} and not {used}, by which tables.{key} trains"
                    f" {choice.method}; it takes the data set's `augment`, unless it has a line there, too"
                )


@contextlib.contextmanager
def _faults_at(where: str) -> Iterator[None]:
    """A ValueError is a ConfigError of the section at `where`."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(located(where, str(error))) from error
