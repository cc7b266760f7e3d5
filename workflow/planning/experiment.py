"""An experiment: data sets, recipes, methods, attacks, and the tables that name runs of them."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError

from stages.core.config.attacks import Attack
from stages.core.config.certificate import Certificate
from stages.core.config.checkpoint import Checkpoint
from stages.core.config.claims import Claim
from stages.core.config.data import Augment, Data, Model
from stages.core.config.lipschitz import Lipschitz
from stages.core.config.messages import validation_message
from stages.core.config.method import Method, Monitor
from stages.core.config.moco import Features
from stages.core.config.plugins import nearest
from stages.core.config.quantities import Count, Seed
from stages.core.config.recipe import Recipe
from stages.core.config.section import Name, Section
from stages.core.config.signatures import shortened
from stages.core.config.structure import NeighborSearch
from stages.core.config.table import MethodName, Table
from stages.core.errors import ConfigError
from workflow.planning.presets import PRESETS
from workflow.planning.stages import RESOURCES

# Kinds of attacks that leave an image once it is broken, and spend thousands of passes on one that is not.
DEAR = ["autoattack", "autoattack_engine", "autoattack_torchattacks"]


def _none_is_empty(value: Any) -> Any:
    return {} if value is None else value


def _mapping(value_type: Any) -> Any:
    return Annotated[value_type, BeforeValidator(_none_is_empty)]


class Dataset(Section):
    """A data set and how its images are augmented, embedded, searched and classified."""

    data: Data = Field(description="where its images come from")
    augment: Augment = Field(Augment(), description="of training images")
    model: Model = Field(Model(), description="the classifier")
    features: Features = Field(Features(), description="the space that neighbors are searched in")
    neighbors: NeighborSearch = Field(NeighborSearch(), description="the search")
    recipes: dict[Name, Name] = Field(
        default_factory=dict, description="which recipe stands in for another on this data set"
    )
    recipe_augments: dict[Name, Augment] = Field(
        default_factory=dict, description="augmentation instead of `augment` where a recipe of this name trains"
    )
    methods: dict[MethodName, dict[str, Any]] = Field(
        default_factory=dict, description="what differs in a method on this data set"
    )
    paper: Literal["cifar10", "stl10", "svhn", "tiny-imagenet"] | None = Field(
        None, description="the paper's data set whose numbers stand beside ours"
    )
    paper_note: str = Field("", description="a footnote on that comparison")


class Resources(Section):
    """What a stage's job asks the scheduler for; changing it reruns nothing."""

    threads: Count = Field(1, description="CPU threads")
    mem_mb: Count = Field(4000, description="memory, in MB")
    runtime: Count = Field(60, description="minutes")
    gpu: int = Field(0, ge=0, le=1, description="1: the job computes on a GPU of its own; 0: on the CPU")


class Experiment(Section):
    """A whole experiment file."""

    experiment: Name = Field(description="its name; the tables go to results/tables/<name>/, with overlays below it")
    title: str = Field("", description="printed with the tables; default: its name")
    note: str = Field("", description="what the numbers can and cannot show; printed with the tables")
    seeds: list[Seed] = Field(default=[0], min_length=1, description="every run is trained once with each")
    most_runs: Count = Field(
        10_000,
        description="refuse tables of more rows times seeds; planning 1,000 takes half a second or so",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: the GPU where there is one")
    jobs_per_gpu: Count = Field(1, description="jobs that share a GPU of a workstation; on a cluster SLURM shares")
    downloads: str = Field("downloads", description="folder for downloaded archives")
    datasets: dict[Name, Dataset] = Field(min_length=1, description="data sets that tables may name")
    recipes: dict[Name, Recipe] = Field(description="optimizer, schedule and inner attack, by the names methods use")
    methods: _mapping(dict[MethodName, dict[str, Any]]) = Field(  # type: ignore[valid-type]
        default_factory=dict, description="methods of your own, and what differs in those of the presets"
    )
    checkpoints: dict[MethodName, Checkpoint] = Field(
        default_factory=dict, description="classifiers from elsewhere, which tables may name as `methods`"
    )
    attacks: dict[Name, Attack] = Field(min_length=1, description="attacks that tables may name")
    separate_attacks: list[str] = Field(
        default=DEAR,
        description="kinds of attacks that are jobs of their own",
    )
    certify: list[MethodName] | Literal["all"] = Field(
        default_factory=list,
        description="methods and checkpoints of the tables whose every run gets a certificate; all: of all",
    )
    certificate: Certificate = Field(Certificate(), description="how they are certified")
    lipschitz: Lipschitz = Field(
        Lipschitz(), description="whose local Lipschitz constants and Theorem 1's radii are measured, and how"
    )
    monitor: Monitor = Field(Monitor(), description="what is measured while training, and selects nothing")
    tables: dict[Name, Table] = Field(min_length=1, description="what is asked for: no run is made for no table")
    claims: dict[Name, Claim] = Field(
        default_factory=dict, description="claims of your own about the tables, judged beside the paper's"
    )
    resources: dict[str, Resources] = Field(
        default_factory=dict, description="what jobs ask of the scheduler, by kind of job"
    )
    _variant: str = PrivateAttr("")
    _command: str = PrivateAttr("")

    @property
    def place(self) -> str:
        """Where its tables lie below results/tables/: its name, and below it what overlays make of it."""
        return f"{self.experiment}/{self._variant}" if self._variant else self.experiment

    @property
    def command(self) -> str:
        """What runs it, from the project's folder."""
        return self._command

    def as_loaded(self, variant: str, command: str) -> "Experiment":
        """The experiment, the name of what overlays have changed in it ('': nothing), and what runs it."""
        loaded = self.model_copy()
        loaded._variant, loaded._command = variant, command
        return loaded

    def method(self, dataset: str, name: str, changes: dict[str, Any]) -> Method:
        """A method on a data set: its preset, then `methods`, then the data set's own, then dotted changes."""
        merged = own = self._merged(name)
        merged = merge(merged, self.datasets[dataset].methods.get(name, {}))
        for path, value in changes.items():
            merged = merge(merged, _nested(path, value))
        if merged.get("lsp") is not None and own.get("lsp") is None:
            raise ConfigError(_lsp_refused(name, merged["lsp"]))
        return _method(name, merged)

    def preset(self, name: str) -> Method:
        """What a method's differences are counted from: its preset, or itself where it has none."""
        preset = self.methods.get(name, {}).get("preset", name)
        return _method(name, PRESETS[preset] if preset in PRESETS else self._merged(name))

    def _merged(self, name: str) -> dict[str, Any]:
        own = dict(self.methods.get(name, {}))
        preset = own.pop("preset", name)
        if not isinstance(preset, str):
            raise ConfigError(f"methods.{name}.preset: the name of a method is needed (given: {shortened(preset)})")
        if preset not in PRESETS and preset != name:
            cure = f"; it is a method of this config: repeat its settings in {name}" if preset in self.methods else ""
            raise ConfigError(f"methods.{name}.preset: '{preset}' is no preset {nearest(preset, [*PRESETS])}{cure}")
        if preset not in PRESETS and not own:
            raise ConfigError(f"methods.{name}: '{name}' is no method {nearest(name, [*PRESETS, *self.methods])}")
        title = own.get("title") or (PRESETS[name]["title"] if preset == name and name in PRESETS else name)
        return {**merge(PRESETS.get(preset, {}), own), "title": title}

    def recipe(self, dataset: str, name: str) -> tuple[Recipe, Augment]:
        """A recipe by name, or the one that stands in for it on this data set, and the augmentation it trains with."""
        section = self.datasets[dataset]
        name = section.recipes.get(name, name)
        if name not in self.recipes:
            raise ConfigError(f"recipes: '{name}' is not defined {nearest(name, list(self.recipes))}")
        return self.recipes[name], section.recipe_augments.get(name, section.augment)

    def certifies(self, name: str) -> bool:
        """Whether the runs of a method, or a checkpoint, get a certificate."""
        return self.certify == "all" or name in self.certify

    def stage_resources(self, stage: str) -> Resources:
        """The resources of a stage's jobs: the experiment's own before the defaults, and no GPU with `device: cpu`."""
        own = self.resources.get(stage, Resources()).model_dump(exclude_unset=True)
        asked = Resources.model_validate({**RESOURCES[stage], **own})
        return asked.model_copy(update={"gpu": 0}) if self.device == "cpu" else asked


def _lsp_refused(name: str, lsp: Any) -> str:
    """Why a table or a data set gives no method an LSP term, and the method that is meant."""
    settings = ", ".join(f"{key}: {value}" for key, value in lsp.items()) if isinstance(lsp, dict) else ""
    meant = f"{{lsp-{name}: {{preset: {name}, lsp: {{{settings}}}}}}}"
    return f"methods.{name} has no LSP term to vary or set; name another method that has, `methods: {meant}`"


def _method(name: str, settings: dict[str, Any]) -> Method:
    try:
        return Method.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(validation_message(error, Method, f"methods.{name}")) from error


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` merged in, mapping by mapping; a component of another name replaces the old one whole."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("name", old.get("name")) == old.get("name"):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def _nested(path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: _nested(rest, value) if rest else value}
