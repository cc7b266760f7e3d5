"""`make estimate`: before a run, and beside what was done."""

import json
import re

from tests.conftest import Project


def estimated(project: Project) -> dict[str, list[str]]:
    done = project.command("python", "-m", "workflow.commands.estimate", *project.configfiles())
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stdout.splitlines() if re.match(r"^[a-z]+\d? +\d+ ", line)]
    return {line.split()[0]: line.split() for line in lines}


def test_every_stage_and_table_has_its_jobs_and_what_they_took(project: Project) -> None:
    found = estimated(project)
    assert found["all"][1] == str(
        sum(int(found[stage][1]) for stage in ("pretrain", "train", "attack") if stage in found)
    )
    manifests = [json.loads(path.read_text()) for path in (project.root / "results/train").rglob("manifest.json")]
    assert int(found["train"][1]) == len(manifests)
    assert f"{sum(manifest['seconds'] for manifest in manifests) / 3600:.2f}" in found["train"]
    assert all(words[words.index("GiB") - 1] > "0.1" for words in found.values())
    peak = max(manifest["peak_memory_bytes"]["host"] for manifest in manifests) / 2**30
    train = found["train"]
    assert float(train[train.index("GiB") - 1]) >= peak - 0.01, "no less than jobs that are done took"
