"""The list of assumptions: each line is read off the settings, and says when they are not the usual ones."""

from pathlib import Path
from typing import Any

import pytest

from stages.tables.assumptions import Entry, Experiment, Topic, document, main, read_catalog, spelled

RUN: dict[str, Any] = {"dataset_title": "Digits", "paper": None, "label": "AT", "lr": 0.1, "bound": 8 / 255}


def listed(entry: dict[str, Any], *runs: dict[str, Any]) -> str:
    experiment = Experiment(experiment="e", title="t", seeds=1, runs=tuple({**RUN, **run} for run in runs), attacks=())
    text = document(experiment, [Topic(topic="Topic", entries=(Entry.model_validate(entry),))])
    return text.split("\n\n")[-1].strip()


def test_a_usual_choice_is_told_with_its_source() -> None:
    entry = {"open": "lr", "uses": "lr {lr}", "reference": "lr 0.1", "source": "the demo"}
    assert listed(entry, {}) == "- lr: **lr 0.1** (the demo)."


def test_another_choice_is_the_experiments_own_and_the_usual_one_is_told() -> None:
    entry = {"open": "lr", "uses": "lr {lr}", "reference": "lr 0.1", "source": "the demo"}
    assert listed(entry, {"lr": 0.2}) == "- lr: **lr 0.2** (this experiment's own, instead of lr 0.1: the demo)."


def test_runs_that_differ_are_told_apart_by_data_set_or_else_by_method() -> None:
    entry = {"open": "lr", "uses": "{lr}", "source": "ours"}
    assert listed(entry, {}, {"lr": 0.2, "dataset_title": "SVHN"}) == "- lr: **0.1** (Digits); **0.2** (SVHN) (ours)."
    assert listed(entry, {}, {"lr": 0.2, "label": "LSP"}) == "- lr: **0.1** (AT); **0.2** (LSP) (ours)."


def test_what_the_paper_says_is_listed_only_where_it_is_departed_from() -> None:
    entry = {"says": "lr", "uses": "{lr}", "reference": "0.1"}
    assert listed(entry, {}) == "None."
    assert listed(entry, {"lr": 0.3}) == "- lr: **0.3** (this experiment's own, not 0.1)."


def test_a_reference_belongs_to_the_papers_data_set_and_a_foreign_one_has_none() -> None:
    entry = {"open": "lr", "uses": "{lr}", "reference": {"svhn": "0.1"}, "source": "HAT"}
    assert listed(entry, {"paper": "svhn"}) == "- lr: **0.1** (HAT)."
    assert listed(entry, {}) == "- lr: **0.1** (this experiment's own)."


def test_an_entry_speaks_of_the_runs_that_match_and_is_silent_without_any() -> None:
    entry = {"open": "lr", "when": {"label": ["LSP", "MART"]}, "uses": "{lr}", "source": "ours"}
    assert listed(entry, {}, {"label": "LSP", "lr": 0.5}) == "- lr: **0.5** (ours)."
    assert "lr" not in listed(entry, {})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (8 / 255, "8/255"),
        (0.2, "0.2"),
        (2e-4, "0.0002"),
        (1.0, "1"),
        (1024, "1,024"),
        ((75, 90), "(75, 90)"),
        (True, "true"),
        (None, "all"),
    ],
)
def test_settings_are_spelled_as_people_write_them(value: Any, words: str) -> None:
    assert spelled(value) == words


def test_the_command_writes_the_list_and_its_manifest(tmp_path: Path) -> None:
    settings = Experiment(experiment="e", title="t", seeds=2, runs=(), attacks=()).model_dump_json()
    out, manifest = tmp_path / "assumptions.md", tmp_path / "assumptions.json"
    main(["--settings", settings, "--manifest", str(manifest), "--out", str(tmp_path)])
    assert "runs behind a number: **seeds: 2**" in out.read_text()
    assert manifest.is_file()


def test_every_entry_either_leaves_open_or_says() -> None:
    entries = [entry for topic in read_catalog() for entry in topic.entries]
    assert all(bool(entry.open) != bool(entry.says) for entry in entries)
    assert all(entry.reference is not None for entry in entries if entry.says)
