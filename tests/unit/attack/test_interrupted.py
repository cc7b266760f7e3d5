"""An attack job that gets SIGTERM keeps its finished batches, and the next attempt makes the same outcomes."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from stages.attack import __main__ as stage
from stages.attack import evaluate
from stages.core.outcomes import read_outcomes
from tests.unit.attack.attack_command import ATTACKS, run

BATCHES = 1 + 3 + 1 + 1  # of none, pgd-2 (five images, two a batch), one-step and cw


class Calls:
    """Attacks' batches, counted; a signal comes in the chosen one, at its beginning, its end or after its audit."""

    def __init__(self, patch: pytest.MonkeyPatch, moment: str, chosen: int) -> None:
        self.count, self.moment, self.chosen = 0, moment, chosen
        attack_function, audit = evaluate.attack_function, evaluate.audit
        patch.setattr(evaluate, "attack_function", lambda kind: self.counting(attack_function(kind)))
        patch.setattr(evaluate, "audit", lambda *words: self.after(audit(*words)))

    def counting(self, attack: Any) -> Any:
        def counted(*words: Any, **options: Any) -> Any:
            self.count += 1
            self.signal("before")
            x_adv = attack(*words, **options)
            self.signal("in")
            return x_adv

        return counted

    def after(self, verdicts: Any) -> Any:
        self.signal("after")
        return verdicts

    def signal(self, moment: str) -> None:
        if (moment, self.count) == (self.moment, self.chosen):
            os.kill(os.getpid(), signal.SIGTERM)


def results(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """The outcomes' bytes, and the manifest's facts without seconds."""
    facts = json.loads((folder / "manifest.json").read_text())["facts"]["attacks"]
    kept = {name: {key: value for key, value in found.items() if key != "seconds"} for name, found in facts.items()}
    return (folder / "outcomes.parquet").read_bytes(), kept


@pytest.mark.parametrize("moment", ["before", "in", "after"])
def test_interrupted_in_any_batch_and_resumed_equals_uninterrupted(
    folder: Path,
    moment: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(folder)
    whole = results(folder)
    for chosen in range(1, BATCHES + 1):
        for name in ("outcomes.parquet", "manifest.json"):
            (folder / name).unlink()
        with pytest.MonkeyPatch.context() as patch:
            calls = Calls(patch, moment, chosen)
            with pytest.raises(SystemExit) as ended:
                run(folder)
            assert ended.value.code == 75
            assert f"interrupted by SIGTERM after {chosen - 1} batches" in capsys.readouterr().err
            assert not (folder / "outcomes.parquet").exists()
            assert (folder / "resume/state.pt").exists()
            assert calls.count == chosen
        with pytest.MonkeyPatch.context() as patch:
            calls = Calls(patch, moment, 0)
            run(folder)
            assert calls.count == BATCHES - (chosen - 1)
        assert results(folder) == whole
        assert not list((folder / "resume").glob("*.pt"))


def test_a_killed_job_loses_what_came_after_its_last_save(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "SECONDS_BETWEEN_SAVES", -1.0)
    with monkeypatch.context() as patch:
        calls = Calls(patch, "none", 0)

        def killed(*words: Any) -> None:
            raise RuntimeError("killed")

        patch.setattr(stage, "write_outcomes", killed)
        with pytest.raises(RuntimeError, match="killed"):
            run(folder)
        assert calls.count == BATCHES
    with monkeypatch.context() as patch:
        calls = Calls(patch, "none", 0)
        run(folder)
        assert calls.count == 0
    assert len(read_outcomes(folder / "outcomes.parquet")) == 7 + 5 + 7 + 4


def test_finished_batches_of_other_attacks_are_not_taken(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Calls(patch, "before", BATCHES)
        with pytest.raises(SystemExit):
            run(folder)
    changed = {**ATTACKS, "one-step": {**ATTACKS["one-step"], "epsilon": 3}}
    with pytest.MonkeyPatch.context() as patch:
        calls = Calls(patch, "none", 0)
        run(folder, changed)
        assert calls.count == BATCHES
