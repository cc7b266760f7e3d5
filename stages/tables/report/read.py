"""What other jobs wrote and the report reads: manifests, claims and certificates, in the parts that it shows.

A file that is missing, or of another form, is told of in the log and taken for missing, never fatal.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.core.config.messages import validation_message
from stages.core.errors import ArtifactError
from stages.core.job.progress import log_line
from stages.core.manifests import read_json

Part = TypeVar("Part", bound=BaseModel)


class Read(BaseModel):
    """A part of a file: what else it holds is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AttackFacts(Read):
    """What an attack job says of one attack; its seconds are of all attempts together."""

    seconds: float = 0.0


class Facts(Read):
    """What a job found out."""

    selected_epoch: int | None = None
    attacks: dict[str, AttackFacts] = Field(default_factory=dict)


class Manifest(Read):
    """What a job says of itself. seconds: of its last attempt; peak_memory_bytes: by host and device."""

    seconds: float = 0.0
    device: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    facts: Facts = Facts()
    peak_memory_bytes: dict[str, float] = Field(default_factory=dict)

    @property
    def peak(self) -> float | None:
        """The most memory that it took, in bytes: on its host, or on its GPU where that was more."""
        return max(self.peak_memory_bytes.values(), default=None)


class Check(Read):
    """One check of a certificate."""

    name: str
    verdict: Literal["fail", "warn", "pass"]
    found: str
    rule: str
    advice: str
    source: str


class Certificate(Read):
    """A checkpoint's certificate; accuracies in percent."""

    verdict: Literal["fail", "warn", "pass"]
    epsilon: float
    images: int
    transferred: dict[str, float]
    checks: tuple[Check, ...]

    def named(self, verdict: str) -> list[str]:
        """The checks of a verdict."""
        return [check.name for check in self.checks if check.verdict == verdict]


class Answer(Read):
    """Whether a claim holds, in one scope; by: the sign alone, or a test. partly: as far as it is asked."""

    answer: Literal["yes", "no", "undecided", "not asked"]
    holm: float | None = None
    by: Literal["sign", "test"] = "test"
    partly: str | None = None


class OnPaper(Read):
    """Whether a claim holds on the paper's own numbers, None where they do not say."""

    answer: Literal["yes", "no"] | None
    asked: int
    against: tuple[str, ...]


class Compared(Read):
    """One comparison of a claim; difference, low and high in percentage points, or in the loss' own unit."""

    table: str
    dataset: str
    column: str
    a: str
    b: str
    seeds: int
    n: int
    difference: float
    low: float | None
    high: float | None
    p_checkpoints: float | None
    p_methods: float | None


class Judged(Read):
    """A claim with its answers."""

    name: str
    text: str
    source: str
    own: bool
    margin: float = 0.0
    paper: OnPaper
    asked: int
    judged: int
    named: int | None = None
    seeds: int
    missing: tuple[str, ...]
    checkpoints: Answer
    methods: Answer
    reason: str
    decides: str
    comparisons: tuple[Compared, ...]

    @property
    def is_asked(self) -> bool:
        """Whether any comparison of it is there to be made."""
        return self.checkpoints.answer != "not asked"


def read(path: Path, part: type[Part], load: Callable[[Path], Any] = read_json) -> Part | None:
    """A JSON file's part; load: what reads the file."""
    try:
        return part.model_validate(load(path))
    except ValidationError as error:
        log_line(f"warning: {path}: {validation_message(error, part)}")
    except ArtifactError as error:
        log_line(f"warning: {error}")
    return None


class Claims(Read):
    """A file of claims."""

    claims: tuple[Judged, ...] = ()
