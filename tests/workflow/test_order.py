"""A run of all tests reads along the pipeline and leaves none out."""

import tomllib
from typing import Any

from tests.conftest import ROOT

SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
FOLDERS: list[str] = SETTINGS["pytest"]["ini_options"]["testpaths"]


def test_every_test_lies_in_one_of_the_folders_that_are_run() -> None:
    files = [path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")]
    counts = {file.as_posix(): sum(file.is_relative_to(folder) for folder in FOLDERS) for file in files}
    assert {file: count for file, count in counts.items() if count != 1} == {}


def test_the_parts_are_tested_in_the_order_in_which_data_flows_through_them() -> None:
    (siblings,) = (rule for rule in SETTINGS["importlinter"]["contracts"] if rule["type"] == "independence")
    stages = [module.removeprefix("stages.") for module in siblings["modules"]]
    units = [folder.removeprefix("tests/unit/") for folder in FOLDERS if folder.startswith("tests/unit/")]
    assert units == ["core", *stages, "launch"]
    assert FOLDERS[: len(units)] == [f"tests/unit/{unit}" for unit in units]


def test_no_file_is_longer_than_300_lines() -> None:
    files = [path for part in ("stages", "workflow", "tests") for path in (ROOT / part).rglob("*.py")]
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in files}
    assert {file: length for file, length in lengths.items() if length > 300} == {}
