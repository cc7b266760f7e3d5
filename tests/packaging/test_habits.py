"""What a project says of itself in several files is the same in all of them."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT
from workflow.generate.conda import pins

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GROUPS: dict[str, list[str]] = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
CITATION: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())
OPTIONAL = {"timm"}  # imported where a config names one of its nets
KEPT = ("results/train/a/model.safetensors", "downloads/a.tar.gz", ".venv/bin/python", "logs/a.log", "stages/core/a.py")
REMOVED = (
    "stages/core/__pycache__/a.pyc",
    ".mypy_cache/a",
    ".ruff_cache/a",
    ".pytest_cache/a",
    "build/a",
    "dist/a.whl",
)


def recipe(target: str) -> str:
    """The commands of a target, one a line, as the shell sees them."""
    (body,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return re.sub(r"\t@\$\(IN_ENV\) | && \$\(IN_ENV\) ", "\n", body)


def named(requirements: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(one.name): one for one in map(Requirement, requirements)}


def test_the_hooks_are_the_commands_of_make_lint() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"].removeprefix(".venv/bin/") for repo in config["repos"] for hook in repo["hooks"]]
    commands = [line for line in recipe("lint").splitlines() if line]
    assert all(repo["repo"] == "local" for repo in config["repos"])
    assert len(hooks) == len(commands)
    for hook, command in zip(hooks, commands, strict=True):
        assert command.startswith(hook)
        assert all((ROOT / place).exists() for place in command.removeprefix(hook).split())


def test_ci_runs_make_check_which_lints_and_tests() -> None:
    assert re.search(r"^make check$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert re.search(r"^check: lint test ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_clean_removes_caches_and_builds_and_never_a_result(tmp_path: Path) -> None:
    for name in (*KEPT, *REMOVED, "workflow/a.py", "tests/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "-f", ROOT / "Makefile", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert all((tmp_path / name).exists() for name in KEPT)
    assert not any((tmp_path / name).exists() for name in REMOVED)


def test_the_requirements_are_those_of_the_environment_and_admit_its_versions() -> None:
    together = named([line for group in GROUPS.values() for line in group])
    assert len(together) == sum(map(len, GROUPS.values()))
    assert together.keys() == {canonicalize_name(name) for name in pins()}
    for name, version in pins().items():
        assert together[canonicalize_name(name)].specifier.contains(version), name


def test_what_stages_imports_is_required_and_nothing_else() -> None:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "stages").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    outside = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"stages", *OPTIONAL}
    known = packages_distributions()
    assert named(GROUPS[""]).keys() == {canonicalize_name(known[module][0]) for module in outside}


@pytest.mark.parametrize("entry", [CITATION, *CITATION["references"]])
def test_a_citation_has_what_cff_1_2_requires(entry: dict[str, Any]) -> None:
    assert {"title", "authors", "type"} <= entry.keys()
    assert all(author.keys() <= {"name", "family-names", "given-names"} for author in entry["authors"])
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["message"]


def test_version_and_license_are_said_alike() -> None:
    assert CITATION["version"] == PROJECT["version"]
    assert f"## {PROJECT['version']} – {CITATION['date-released']}" in (ROOT / "CHANGELOG.md").read_text()
    assert CITATION["license"] == PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
