"""What the list of assumptions is made from: the settings of an experiment's runs and attacks, as plain values."""

from typing import Any

from stages.core.code import ROOT, code_digest
from stages.core.files import digest, packed_json, sha256_file
from workflow.planning.experiment import Experiment
from workflow.planning.jobs import Job
from workflow.planning.stages import ASSUMPTIONS

CATALOG = ROOT / "stages/tables/assumptions.yaml"


def assumptions(experiment: Experiment) -> Job:
    """The job that lists what an experiment assumes; its code is the stage's and the catalog."""
    code = digest([code_digest(ASSUMPTIONS.modules), sha256_file(CATALOG)], 16)
    return Job(ASSUMPTIONS, f"{experiment.place}/assumptions", packed_json(assumed(experiment)), code)


def assumed(experiment: Experiment) -> dict[str, Any]:
    """Settings of every method on every data set of the tables, without what a table varies, and of every attack.

    Of a checkpoint from elsewhere it is not known how it was trained.
    """
    shown = [
        (dataset, name)
        for table in experiment.tables.values()
        for dataset in table.datasets
        for name in table.names()
        if name not in experiment.checkpoints
    ]
    return {
        "experiment": experiment.experiment,
        "title": experiment.title,
        "seeds": len(experiment.seeds),
        "runs": [_run(experiment, dataset, method) for dataset, method in dict.fromkeys(shown)],
        "attacks": [attack for key in experiment.attacks if (attack := _attack(experiment, key))["tables"]],
    }


def _run(experiment: Experiment, dataset: str, name: str) -> dict[str, Any]:
    section = experiment.datasets[dataset]
    method = experiment.method(dataset, name, {})
    recipe, augment = experiment.recipe(dataset, method.recipe)
    settings = {
        "data": section.data,
        "augment": augment,
        "model": section.model,
        "features": section.features,
        "neighbors": section.neighbors,
        "method": method,
        "recipe": recipe,
        "monitor": experiment.monitor,
        **({} if method.lsp is None else {"lsp": method.lsp}),
        **({} if method.helper is None else {"helper": experiment.method(dataset, method.helper, {})}),
    }
    return {
        "dataset_title": section.data.title or dataset,
        "paper": section.paper,
        "label": method.title,
        "adversarial": method.adversarial(),
        "has_lsp": method.lsp is not None,
        **{key: value.model_dump(mode="json") for key, value in settings.items()},
    }


def _attack(experiment: Experiment, key: str) -> dict[str, Any]:
    attack = experiment.attacks[key]
    tables = [table for table in experiment.tables.values() if key in table.attacks]
    return {
        **attack.model_dump(mode="json"),
        "label": f"{attack.label or key.upper()} ({key})",
        "bounded": attack.bounded,
        "searches": attack.kind != "clean",
        "part": attack.images is not None,
        "tables": sorted({table.paper for table in tables if table.paper is not None}) or ["own"] * bool(tables),
    }
