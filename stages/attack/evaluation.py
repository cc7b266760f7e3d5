"""An attack on all points at once: who judges its findings, and what it saves to go on from."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from stages.attack.audit import Verdicts, audit, score
from stages.attack.engine.progress import Progress
from stages.core.config.attacks import Attack
from stages.core.job.progress import SECONDS_BETWEEN_LINES, log_line


@dataclass
class Record:
    """What an attack on all points has found, and where its search stands: enough for a next attempt to go on.

    broken_by: of each image the attack that broke it, "" for none, and in `iteration` when; forwards, backwards: passes
    through the network that it took. search: the attack's own; tensors, plain values and the ensemble's progress.
    """

    verdicts: Verdicts | None = None
    broken_by: list[str] = field(default_factory=list)
    iteration: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    forwards: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    backwards: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    search: dict[str, Any] = field(default_factory=dict)

    def saved(self) -> dict[str, Any]:
        """All of it, for a file."""
        search = {key: value.record() if isinstance(value, Progress) else value for key, value in self.search.items()}
        return {**vars(self), "search": search, "verdicts": None if self.verdicts is None else vars(self.verdicts)}

    @classmethod
    def revived(cls, saved: dict[str, Any]) -> "Record":
        """What `saved` gave."""
        verdicts = None if saved["verdicts"] is None else Verdicts(**saved["verdicts"])
        search = {key: Progress(**value) if key == "progress" else value for key, value in saved["search"].items()}
        return cls(**{**saved, "verdicts": verdicts, "search": search})


class Evaluation:
    """What an attack on all points is given: whom it attacks, under which seed, and a judge of what it finds."""

    def __init__(
        self,
        model: nn.Module,
        name: str,
        attack: Attack,
        images: Tensor,
        labels: Tensor,
        indices: Tensor,
        seed: int,
        record: Record,
        save_if_due: Callable[[], None],
        counted: int | None = None,
    ) -> None:
        """images (n, C, H, W) in [0, 1] and labels (n,) on the model's device; indices (n,): places in the test set.

        counted: the images that the column counts, if a smaller radius has broken some already.
        """
        self.name, self.attack, self.seed, self.indices = name, attack, seed, indices
        self.batch_size = attack.batch_size
        self.record, self.save_if_due = record, save_if_due
        self._model, self._images, self._labels = model, images, labels
        self._counted = counted or len(labels)
        self.begin_search(0.0)
        if record.verdicts is None:
            self._judge_clean()

    @property
    def correct(self) -> Tensor:
        """(n,) bool on the CPU: the images that the model gets right, which are attacked."""
        return self.verdicts.clean_prediction == self._labels.cpu()

    def judge(self, places: Tensor, x_adv: Tensor, by: str, iteration: int) -> Tensor:
        """(k,) bool on the CPU: which of the images at `places` (k,) x_adv (k, C, H, W) breaks, now on the record.

        Bounds are measured in float64 and the prediction is the model's own, by a plain float32 forward. An image that
        has not moved breaks nothing, should it be rounded otherwise in another batch.
        """
        at = places.to(self._labels.device)
        images, labels, indices = self._images[at], self._labels[at], self.indices[places]
        clean = self.verdicts.clean_prediction[places]
        found = audit(self._model, self.name, self.attack, images, x_adv, labels, indices, clean)
        broken = ~found.robust & (found.linf > 0)
        for column in ("adversarial_prediction", "robust", "linf", "l2"):
            getattr(self.verdicts, column)[places[broken]] = getattr(found, column)[broken]
        for place in places[broken].tolist():
            self.record.broken_by[place] = by
        self.record.iteration[places[broken]] = iteration
        return broken

    def begin_search(self, made: float) -> None:
        """Tell the time from here on, where `made` passes through the network lie behind."""
        self._spoken = self._begun = time.monotonic()
        self._made_before = made

    def say(self, where: str, made: float, ahead: float) -> None:
        """A line now and then: where it is, the points left, what that makes of robust accuracy, the time left.

        made: passes through the network so far; ahead: those still to make in this search if no further point breaks.
        """
        now = time.monotonic()
        if now - self._spoken < SECONDS_BETWEEN_LINES:
            return
        self._spoken = now
        from scipy.stats import binomtest  # a second that most attacks need not spend

        left = int(self.verdicts.robust.sum())
        interval = binomtest(left, self._counted).proportion_ci(method="wilson")
        most = tqdm.format_interval((now - self._begun) * ahead / (made - self._made_before))
        log_line(
            f"attack {self.name}: {where}: {left} of {len(self._labels)} points left, robust accuracy"
            f" {100 * left / self._counted:.2f} % [{100 * interval.low:.2f}, {100 * interval.high:.2f}] so far;"
            f" this search has at most {most} to go"
        )

    @property
    def verdicts(self) -> Verdicts:
        """What is on record of all images."""
        assert self.record.verdicts is not None
        return self.record.verdicts

    def _judge_clean(self) -> None:
        clean = score(self._model, self.name, self._images, self.indices).argmax(dim=1).cpu()
        none = torch.zeros(len(clean), dtype=torch.int64)
        size = torch.zeros(len(clean), dtype=torch.float64)
        record = self.record
        record.broken_by = [""] * len(clean)
        record.iteration, record.forwards, record.backwards = none, none.clone(), none.clone()
        record.verdicts = Verdicts(clean, clean.clone(), clean == self._labels.cpu(), size, size.clone())
