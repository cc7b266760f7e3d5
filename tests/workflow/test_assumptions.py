"""The list of assumptions of the experiments at hand."""

from pathlib import Path

from stages.tables.assumptions import OWN, document, read_catalog
from stages.tables.assumptions import Experiment as Assumed
from tests.conftest import EXPERIMENTS, ROOT
from workflow.planning.assumptions import assumed
from workflow.planning.experiment import Experiment
from workflow.planning.load import load_experiment, read_yaml


def loaded(path: Path) -> Experiment:
    return load_experiment([path], ROOT / "config.yaml")


def text_of(experiment: Experiment) -> str:
    return document(Assumed.model_validate(assumed(experiment)), read_catalog())


def test_paper_yaml_departs_from_nothing_and_makes_each_choice_as_the_catalog_names_it() -> None:
    text = text_of(loaded(EXPERIMENTS / "paper.yaml"))
    assert "## Departures from what the paper says\n\nNone.\n" in text
    assert OWN not in text


def test_every_entry_speaks_of_paper_yaml_or_of_a_part_of_a_test_set() -> None:
    text = text_of(loaded(EXPERIMENTS / "paper.yaml"))
    silent = [e.open for topic in read_catalog() for e in topic.entries if e.open and f"- {e.open}: " not in text]
    assert silent == ["which images a part of the test set is"]


def test_a_cut_experiment_names_what_it_cuts() -> None:
    text = text_of(loaded(EXPERIMENTS / "cifar10-jpeg-small.yaml"))
    assert f"- images trained on: **4,000** ({OWN}, not all)." in text
    assert f"- width of the first stage: **8** ({OWN}, not 64)." in text
    assert "**500, first** (" in text


def test_every_doubt_has_a_table_in_sensitivity_yaml_and_every_table_there_a_doubt_or_is_a_control() -> None:
    doubts = {entry.sensitivity for topic in read_catalog() for entry in topic.entries} - {None}
    tables = {name for name, table in read_yaml(EXPERIMENTS / "sensitivity.yaml")["tables"].items() if table}
    assert tables == doubts | {"controls"}
    loaded(EXPERIMENTS / "sensitivity.yaml")
