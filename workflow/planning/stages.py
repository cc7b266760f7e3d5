"""The kinds of jobs, a stage each: files, log, command, code, and what it asks of the scheduler.

What a job reads and is told is the planner's (runs.py, tables.py), how its command is called the rule's of its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RESULTS = "results/"  # of every file of a plan, before what it is called in any other folder of outcomes
# What jobs ask of the scheduler by default; the keys are those of an experiment's `resources`. Stages of which one job
# holds up all others take more threads; runs and attacks are many and keep the cores busy with one each.
RESOURCES: Mapping[str, Mapping[str, int]] = {
    "data": {},
    "pretrain": {"threads": 4, "gpu": 1},
    "embed": {"threads": 4, "gpu": 1},
    "index": {"threads": 4, "runtime": 20},
    "search": {"threads": 4, "runtime": 20},
    "structure": {"runtime": 20},
    "train": {"gpu": 1},
    "weights": {"gpu": 1},
    "attack": {"gpu": 1},
    "autoattack": {"gpu": 1},
    "certify": {"gpu": 1},
    "lipschitz": {"gpu": 1},
    "pictures": {"gpu": 1, "runtime": 20},
    "tables": {"mem_mb": 1000, "runtime": 10},
}
# The least megabytes that a job can do with: an idle stage with torch holds 470 of its own beside its libraries (Linux,
# torch 2.13), one without 100. What a job with images needs is more.
LEAST_MEMORY, LEAST_WITHOUT_TORCH = 500, 100


@dataclass(frozen=True, eq=False)
class Stage:
    """One kind of job: its rule's name, what follows `python -m stages.`, and the modules that all its jobs rest on.

    files: output -> path, in which {key} is the job's name among its kind. The first is there once a job is done.
    undeclared: those that Snakemake is not told of. published: those that published tables rest on.
    resources: a key of RESOURCES, and the folder of its logs. resume: the folder below results/resume/ of what its jobs
    save to go on from, if they do.
    """

    name: str
    command: str
    modules: tuple[str, ...]
    resources: str
    files: Mapping[str, str]
    undeclared: tuple[str, ...] = ()
    published: tuple[str, ...] = ("manifest",)
    resume: str = ""

    def file(self, name: str, key: str) -> str:
        """Where the job `key` writes one of its files."""
        return self.files[name].replace("{key}", key)

    def outputs(self, key: str) -> dict[str, str]:
        """The files that Snakemake is told of, by name."""
        return {name: self.file(name, key) for name in self.files if name not in self.undeclared}

    def log(self, key: str) -> str:
        """Where the job `key` says what it does."""
        return f"logs/{self.resources}/{key}.log"

    def resumed(self, key: str) -> str:
        """The folder that the job `key` holds while it runs, with what a next attempt goes on from."""
        return f"{RESULTS}resume/{self.resume}/{key}"


def in_folder(results: Path, file: str) -> Path:
    """Where a file of a plan lies if `results`, such as a published folder, holds what results/ would."""
    return results / file.removeprefix(RESULTS)


def _below(place: str, **files: str) -> dict[str, str]:
    return {name: f"{RESULTS}{place}{file}" for name, file in files.items()}


def _tables(name: str, module: str, *, manifest: str = ".json", **files: str) -> Stage:
    files = _below("tables/{key}", **files, manifest=manifest)
    command = module.removesuffix(".__main__")
    return Stage(name=name, command=command, modules=(f"stages.{module}",), resources="tables", files=files)


DATA = Stage(
    name="data",
    command="data",
    modules=("stages.data.__main__",),
    resources="data",
    files=_below(
        "data/{key}/",
        train="train.safetensors",
        test="test.safetensors",
        manifest="manifest.json",
        unlabelled="unlabelled.safetensors",
    ),
    undeclared=("unlabelled",),  # not every data set has them
)
PRETRAIN = Stage(
    name="pretrain",
    command="features pretrain",
    modules=("stages.features.pretrain",),
    resources="pretrain",
    files=_below("features/{key}/", encoder="encoder.safetensors", history="history.parquet", manifest="pretrain.json"),
    published=("history", "manifest"),
    resume="features",
)
EMBED = Stage(
    name="embed",
    command="features embed",
    modules=("stages.features.embed", "stages.features.source"),
    resources="embed",
    files=_below("features/{key}/", embeddings="embeddings.parquet", manifest="embed.json"),
)
INDEX = Stage(
    name="index",
    command="neighbors build",
    modules=("stages.neighbors.__main__",),
    resources="index",
    files=_below("neighbors/{key}/", index="index.faiss", checksum="index.faiss.sha256", manifest="index.json"),
    published=(),
)
NEIGHBORS = Stage(
    name="neighbors",
    command="neighbors search",
    modules=("stages.neighbors.__main__",),
    resources="search",
    files=_below("neighbors/{key}/", neighbors="neighbors.parquet", report="report.json", manifest="neighbors.json"),
    published=("report", "manifest"),
)
STRUCTURE = Stage(
    name="structure",
    command="structure",
    modules=("stages.structure.__main__",),
    resources="structure",
    files=_below("structure/{key}/", structure="structure.parquet", manifest="manifest.json"),
)
TRAIN = Stage(
    name="train",
    command="train",
    modules=("stages.train.__main__",),
    resources="train",
    files=_below("train/{key}/", checkpoint="model.safetensors", history="history.parquet", manifest="manifest.json"),
    published=("history", "manifest"),
    resume="train",
)
WEIGHTS = Stage(
    name="weights",
    command="weights",
    modules=("stages.weights.__main__",),
    resources="weights",
    files=_below("weights/{key}/", checkpoint="model.safetensors", manifest="manifest.json"),
)
ATTACK = Stage(
    name="attack",
    command="attack",
    modules=("stages.attack.__main__",),
    resources="attack",
    files=_below("attack/{key}", outcomes=".parquet", manifest=".json"),
    undeclared=("manifest",),  # the next plan reads it to keep the job, also while the outcomes are made anew
    published=("outcomes", "manifest"),
    resume="attack",
)
CERTIFY = Stage(
    name="certify",
    command="attack.certificate",
    modules=("stages.attack.certificate.__main__",),
    resources="certify",
    files=_below("certify/{key}/", certificate="certificate.json", text="certificate.md", manifest="manifest.json"),
    published=("certificate", "text", "manifest"),
    resume="certify",
)
LIPSCHITZ = Stage(
    name="lipschitz",
    command="lipschitz",
    modules=("stages.lipschitz.__main__",),
    resources="lipschitz",
    files=_below("lipschitz/{key}/", outcomes="outcomes.parquet", manifest="manifest.json"),
    published=("outcomes", "manifest"),
    resume="lipschitz",
)
PICTURES = Stage(
    name="pictures",
    command="pictures",
    modules=("stages.pictures.__main__",),
    resources="pictures",
    files=_below("pictures/{key}/", pictures="pictures.safetensors", manifest="manifest.json"),
    published=(),  # they hold images
)
TABLE = _tables("table", "tables.__main__", csv=".csv", tex=".tex", document="-document.tex", text=".txt")
FIGURE = _tables("figure", "tables.__main__", csv=".csv", png=".png", pdf=".pdf")
COMPARISONS = _tables("comparisons", "tables.comparisons", csv=".csv")
CERTIFICATES = _tables("certificates", "tables.certificates", csv=".csv")
LIPSCHITZ_LIST = _tables("lipschitz_list", "tables.lipschitz", manifest="-manifest.json", csv=".csv", json=".json")
CLAIMS = _tables("claims", "tables.claims.__main__", manifest="-manifest.json", csv=".csv", json=".json")
ASSUMPTIONS = _tables("assumptions", "tables.assumptions", listed=".md")
REPORT = _tables("report", "tables.report.__main__", report=".html")

# Those before the tables, none before one that it reads from.
STAGES = (DATA, PRETRAIN, EMBED, INDEX, NEIGHBORS, STRUCTURE, TRAIN, WEIGHTS, ATTACK, CERTIFY, LIPSCHITZ, PICTURES)
LONG = (PRETRAIN, TRAIN, ATTACK, CERTIFY, LIPSCHITZ)  # whose time is estimated; the others take seconds to minutes
