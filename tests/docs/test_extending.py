"""An objective, an attack, an augmentation and a source are run as docs/extending.md adds them."""

import csv
import re

import pytest
import yaml

from stages.core.config.plugins import FOLDERS
from tests.conftest import Project
from tests.docs.blocks import extensions, scripts
from workflow.planning.experiment import merge

ADDED = [extension for extension in extensions() if any(extension.file.file.startswith(f) for f in FOLDERS.values())]
EXTENDING = next(page for page in scripts() if page.name == "extending.md")


def test_each_kind_of_plugin_is_shown_by_one_file_and_one_stanza() -> None:
    folders = [extension.file.file.rpartition("/")[0] for extension in ADDED]
    assert sorted(folders) == sorted(FOLDERS.values())


@pytest.mark.timeout(900)
def test_a_file_and_a_stanza_are_enough_and_leave_finished_runs_valid(project: Project) -> None:
    overlay: dict[str, object] = {}
    for extension in ADDED:
        (project.root / extension.file.file).write_text(extension.file.text)
        overlay = merge(overlay, yaml.safe_load(extension.stanza.text))
    for number, script in enumerate(scripts()[EXTENDING]):
        (project.root / f"script{number}.py").write_text(script.text)
        assert project.command("python", f"script{number}.py").returncode == 0
    tables = overlay["tables"]
    assert isinstance(tables, dict)
    done = project.snakemake(overlay=yaml.safe_dump({**overlay, "tables": {**tables, "table1": None, "table2": None}}))
    assert done.returncode == 0, done.stdout
    assert not [line for line in done.stdout.splitlines() if "rule pretrain" in line]
    trained = re.findall(
        r"rule train:.*?wildcards: run=(\w+)/([\w-]+?)-\w+/seed0$", done.stdout, re.DOTALL | re.MULTILINE
    )
    assert sorted(trained) == [("arrays", "vanilla"), ("digits", "alp"), ("digits", "cutout")]
    for name, table in tables.items():
        with project.only(f"tables/tiny/overlay-*/{name}.csv").open(newline="") as stream:
            cells = list(csv.DictReader(stream))
        assert len(cells) == len(table["methods"]) * len(table["attacks"])
        assert all(cell["accuracy"] for cell in cells), name
