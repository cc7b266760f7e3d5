"""What an attack job has finished: the audited verdicts of every batch, so that an interruption costs one batch."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from stages.attack.audit import Verdicts
from stages.attack.evaluation import Record
from stages.core.job.progress import log_line
from stages.core.job.resume import load_state, save_state, taking_up


@dataclass
class Finished:
    """An attack's finished batches, {place of the first image among those attacked: verdicts}, and their seconds.

    whole: the record of an attack on all images at once, which has no batches.
    """

    batches: dict[int, Verdicts] = field(default_factory=dict)
    seconds: float = 0.0
    whole: Record = field(default_factory=Record)

    def add(self, place: int, verdicts: Verdicts, seconds: float) -> None:
        """Take in a batch."""
        self.batches[place] = verdicts
        self.seconds += seconds


@dataclass
class AttackState:
    """The finished batches of each attack, by its id.

    Law: a job that is interrupted and resumed has the outcomes of one that is not, bit for bit on one machine.
    """

    attacks: dict[str, Finished] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """How far the job is, in words."""
        done = f"after {sum(len(finished.batches) for finished in self.attacks.values())} batches"
        wholes = [whole for finished in self.attacks.values() if (whole := finished.whole).verdicts is not None]
        return done + "".join(f" and {sum(map(bool, whole.broken_by))} points broken at once" for whole in wholes)

    def save(self, path: Path, key: str) -> None:
        """Write the state whole or not at all; `key` names the job it belongs to."""
        attacks = {
            name: {
                "batches": {place: vars(verdicts) for place, verdicts in finished.batches.items()},
                "seconds": finished.seconds,
                "whole": finished.whole.saved(),
            }
            for name, finished in self.attacks.items()
        }
        save_state(path, key, {"attacks": attacks})

    def restore(self, path: Path, key: str) -> None:
        """Take up a saved state of the same job; a damaged one, or one of other settings, inputs or code, is left."""
        record = load_state(path, key, torch.device("cpu"))
        if record is None:
            return
        with taking_up(path):
            for name, finished in record["attacks"].items():
                batches = {place: Verdicts(**verdicts) for place, verdicts in finished["batches"].items()}
                self.attacks[name] = Finished(batches, float(finished["seconds"]), Record.revived(finished["whole"]))
        log_line(f"resumed {self.place}")
