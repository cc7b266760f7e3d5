"""Where tables lie: under their experiment, and under a name of what overlays make of it, so that none meet."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import ConfigError
from tests.conftest import ROOT, TINY, Project
from workflow.planning.load import load_experiment
from workflow.planning.stages import STAGES
from workflow.planning.tables import make_plan

TWO_SETS = """
datasets:
  digits: {{data: {{source: cifar10, folder: {}}}}}
  other: {{data: {{source: cifar10, folder: {}, train_images: 200, test_images: 24}}, features: {{source: pixels}}}}
tables: {{table1: {{datasets: [digits, other], methods: [vanilla], attacks: [clean]}}, table2: null}}
"""


@pytest.fixture
def place_of(tmp_path: Path) -> Callable[..., str]:
    """The place of the tiny experiment under overlays {stem: YAML}, and under what --config gives."""

    def placed(overrides: dict[str, Any] | None = None, files: tuple[Path, ...] = (TINY,), **overlays: str) -> str:
        paths = list(files)
        for stem, text in overlays.items():
            paths.append(tmp_path / f"{stem}.yaml")
            paths[-1].write_text(text)
        return load_experiment(paths, ROOT / "config.yaml", overrides).place

    return placed


def test_an_experiment_alone_lies_under_its_name(place_of: Callable[..., str]) -> None:
    assert place_of() == "tiny"
    assert place_of(files=()) == "digits"
    assert place_of(files=(ROOT / "workflow/experiments/stl10.yaml",)) == "stl10"


@pytest.mark.parametrize(
    "text",
    [
        "seeds: [1]",
        "recipes: {standard: {epochs: 2}}",
        "attacks: {fgsm: {label: Fast}}",
        "title: Another",
        "tables: {table2: null}",
        "tables: {table3: {datasets: [digits], methods: [lsp], attacks: [clean]}}",
        "datasets: {digits: {data: {test_images: 23}}}",
        "methods: {lsp: {lsp: {weight: 1/3}}}",
    ],
)
def test_an_overlay_that_changes_what_tables_show_lies_below_under_its_own_name(
    place_of: Callable[..., str], text: str
) -> None:
    assert re.fullmatch(r"tiny/slow-[0-9a-f]{8}", place_of(slow=text))


def test_no_two_of_the_experiment_and_its_overlays_meet(place_of: Callable[..., str]) -> None:
    slow, more = "seeds: [1]", "recipes: {standard: {lr: 0.2}}"
    places = [
        place_of(),
        place_of(slow=slow),
        place_of(slow=more),
        place_of(more=slow),
        place_of(slow=slow, more=more),
        place_of({"seeds": [1]}),
        place_of({"seeds": [2]}),
        place_of({"seeds": [2]}, slow=slow),
    ]
    assert len(set(places)) == len(places)
    assert [re.sub("[0-9a-f]{8}$", "", place) for place in places[4:]] == [
        "tiny/slow-more-",
        "tiny/config-",
        "tiny/config-",
        "tiny/slow-config-",
    ]


def test_the_same_overlays_lead_to_the_same_place(place_of: Callable[..., str]) -> None:
    assert place_of({"seeds": [2]}, slow="seeds: [1]") == place_of({"seeds": [2]}, slow="seeds: [1]")


@pytest.mark.parametrize(
    "text",
    [
        "seeds: [0]",
        "device: cpu\ndownloads: elsewhere\njobs_per_gpu: 2",
        "resources: {train: {threads: 2}}",
    ],
)
def test_an_overlay_that_changes_no_table_has_the_experiments_own_place(
    place_of: Callable[..., str], text: str
) -> None:
    assert place_of(machine=text) == "tiny"


def test_where_files_lie_is_no_part_of_a_place(place_of: Callable[..., str]) -> None:
    named = "datasets: {{digits: {{data: {{source: cifar10, {}}}}}}}"
    texts = [named.format(where) for where in ("folder: /a", "folder: /b", "folder: null")]
    assert len({place_of(machine=text) for text in texts}) == 1


def test_an_experiment_behind_another_file_is_refused(place_of: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text("seeds: [1]")
    for before in (tmp_path / "slow.yaml", TINY):
        with pytest.raises(ConfigError, match=rf"stands behind \S*{before.name} and would replace it; name one"):
            place_of(files=(before, TINY))


def test_a_place_is_a_plain_path_whatever_the_overlay_is_called(place_of: Callable[..., str]) -> None:
    assert re.fullmatch(r"tiny/a_b__c__-[0-9a-f]{8}", place_of(**{"a b{}c é": "seeds: [1]"}))


def test_an_overlay_leaves_the_experiments_tables_as_they_are(project: Project) -> None:
    mine = project.root / "results/tables/tiny"
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    done = project.snakemake(overlay="attacks: {fgsm: {label: Fast}}")
    assert done.returncode == 0, done.stdout
    assert {path.name: path.read_bytes() for path in mine.iterdir() if path.is_file()} == before
    assert "Fast" in project.only("tables/tiny/overlay-*/table1.csv").read_text()
    assert project.planned() == []


@pytest.mark.slow
def test_a_folder_stands_in_the_command_of_its_own_job_alone(fresh: Project) -> None:
    folders = ("/no such/{place}", "/the/other's")
    said = fresh.snakemake("-n", "--printshellcmds", overlay=TWO_SETS.format(*map(repr, folders))).stdout
    commands = [shlex.split(line) for line in said.splitlines() if "python -m workflow.launch.job" in line]
    told = [word for command in commands for word in command if word.startswith("--folder=")]
    assert sorted(told) == sorted(f"--folder={folder}" for folder in folders)
    assert not any(folder in word for folder in folders for command in commands for word in command if word not in told)


@pytest.mark.slow
def test_moved_files_rerun_nothing(fresh: Project, tmp_path: Path) -> None:
    here, there = (TWO_SETS.format(f"/{place}/one", f"/{place}/other") for place in ("here", "there"))
    (tmp_path / "here.yaml").write_text(here)
    plan = make_plan(load_experiment([TINY, tmp_path / "here.yaml"], ROOT / "config.yaml"), tmp_path)
    made = [job for stage in STAGES for job in plan.of(stage).values()]
    for path in (fresh.root / path for job in made for path in job.outputs().values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    data = list(plan.data.values())
    assert len(data) == 2
    for job in data:
        done = fresh.snakemake("--touch", job.file("train"), overlay=here)
        assert done.returncode == 0, done.stdout
    assert fresh.counted(there).get("data", 0) == 0
    assert fresh.counted(there.replace("24", "25"))["data"] == 1
