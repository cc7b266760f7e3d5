"""`make status` tells a job that failed from one that runs or was cut off."""

from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY
from workflow.commands.status import job_states
from workflow.planning.load import load_experiment
from workflow.planning.tables import make_plan


@pytest.mark.parametrize(
    ("output", "log", "state"),
    [
        (True, "epoch 1/1: loss 2.3\n", "done"),
        (True, "error: an earlier attempt\n", "done"),
        (False, "epoch 1: 3/30 in 10 s\n", "started"),
        (False, "", "started"),
        (False, "epoch 1/2: loss 2.3\nerror: loss is nan\n", "failed"),
        (False, 'Traceback (most recent call last):\n  File "x"\n', "failed"),
        (False, None, "missing"),
    ],
)
def test_a_job_s_state_follows_from_its_output_and_its_log(
    output: bool, log: str | None, state: str, tmp_path: Path
) -> None:
    plan = make_plan(load_experiment([TINY], ROOT / "config.yaml"), tmp_path)
    key, job = next(iter(plan.train.items()))
    if output:
        (tmp_path / job.folder).mkdir(parents=True)
        (tmp_path / job.file("checkpoint")).touch()
    if log is not None:
        (tmp_path / f"logs/train/{key}.log").parent.mkdir(parents=True)
        (tmp_path / f"logs/train/{key}.log").write_text(log)
    states = dict(job_states(plan, tmp_path)["train"])
    assert states.pop(key) == state
    assert set(states.values()) == {"missing"}
