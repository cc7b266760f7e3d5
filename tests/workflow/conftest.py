"""Plans of the tiny experiment, and made-up states of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY
from tests.workflow.made_up import Made
from tests.workflow.written import write_all
from workflow.planning.jobs import Plan
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan


@pytest.fixture
def plan_of(tmp_path: Path) -> Callable[..., Plan]:
    """Plans the tiny experiment under overlays given as YAML, with nothing finished."""

    def planned(*overlays: str) -> Plan:
        files = [TINY]
        for number, overlay in enumerate(overlays):
            files.append(tmp_path / f"{number}.yaml")
            files[-1].write_text(overlay)
        return make_plan(load_experiment(files, ROOT / "config.yaml"), tmp_path)

    return planned


@pytest.fixture
def made(plan_of: Callable[..., Plan], tmp_path: Path) -> Callable[..., Made]:
    """The tiny experiment under overlays, with nothing started."""
    return lambda *overlays: Made(plan_of(*overlays), tmp_path / "root")


@pytest.fixture
def plan(plan_of: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The tiny experiment, all of it written below the working directory, which commands take for the project's."""
    planned = plan_of()
    (tmp_path / "work/.snakemake/metadata/record").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("workflow.planning.given.ROOT", tmp_path / "work")
    write_all(planned, Path())
    return planned
