"""`make estimate`: before a run, and beside what was done."""

import re

from stages.core.manifests import read_manifest, write_manifest
from tests.conftest import Project


def estimated(project: Project) -> dict[str, list[str]]:
    done = project.command("python", "-m", "workflow.commands.estimate", *project.configfiles())
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stdout.splitlines() if re.match(r"^[a-z]+\d? +\d+ ", line)]
    return {line.split()[0]: line.split() for line in lines}


def after(words: list[str], word: str) -> str:
    return words[words.index(word) + 1]


def test_every_stage_and_table_has_its_jobs_and_what_they_took(project: Project) -> None:
    paths = list((project.root / "results/train").rglob("manifest.json"))
    for path in paths:
        write_manifest(path, {**read_manifest(path), "seconds": 3600.0})
    found = estimated(project)
    assert found.keys() == {"pretrain", "train", "attack", "table1", "table2", "all"}
    assert int(found["all"][1]) == sum(int(found[stage][1]) for stage in ("pretrain", "train", "attack"))
    assert int(found["train"][1]) == len(paths) == 3
    assert after(found["train"], "GiB") == "3.00"
    assert float(after(found["all"], "GiB")) >= 3
    assert all(float(words[words.index("GiB") - 1]) > 0.1 for words in found.values())
    manifests = [read_manifest(path) for path in paths]
    peak = max(manifest["peak_memory_bytes"]["host"] for manifest in manifests) / 2**30
    train = found["train"]
    assert float(train[train.index("GiB") - 1]) >= peak - 0.01, "no less than jobs that are done took"
