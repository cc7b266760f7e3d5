"""What a running job's log says of how far it is; the lines are those of stages/core/job and stages/attack."""

import json
import re
from dataclasses import dataclass, replace
from functools import cache

from stages.core.config.attacks import AttackSettings
from workflow.commands.watch.logs import Log
from workflow.commands.watch.times import duration, seconds_of
from workflow.planning.jobs import Job
from workflow.planning.stages import ATTACK, CERTIFY, PRETRAIN, TRAIN

EPOCH = re.compile(r"(?:MoCo )?epoch (\d+)/(\d+): ((?:[^,]+ -?(?:\d+\.\d+|inf), )*)(\d+\.\d+) s")
RESUMED = re.compile(r"resumed after epoch (\d+), .*")
STEP = re.compile(r"(.+): (\d+)/([1-9]\d*) in (\d+) s")
SEARCH = re.compile(
    r"attack (.+): \w+: (\S+), iteration (\d+) of (\d+): (\d+ of \d+ points) left, robust accuracy (.*)"
    r" so far; this search has at most ([\d:]+) to go"
)
FINISHED = re.compile(r"(\S+): robust accuracy (\d\.\d+) of \d+, \d+\.\d+ s")
CERTIFICATE = re.compile(r"certificate: (.*)")
RECENT = 5  # epochs whose mean is what one takes
FIRST = ("loss", "clean_accuracy", "robust_accuracy")


@dataclass(frozen=True)
class Said:
    """How far a job is and what it measured last, in words, and the seconds it has to go, if that can be told.

    at_most: it has no more than that to go, perhaps less.
    """

    where: str = ""
    measured: str = ""
    left: float | None = None
    at_most: bool = False

    @property
    def to_go(self) -> str:
        """The time left in words, or nothing."""
        return "" if self.left is None else f"{'≤ ' * self.at_most}{duration(self.left)}"


def said(job: Job, log: Log, now: float) -> Said:
    """What the log of a job says at `now`, in seconds since 1970."""
    lines, since = log.said, max(0.0, now - log.modified)
    if not log.first:
        return Said("no line yet; it may wait for a GPU")
    if not lines:
        return Said("started")
    if job.stage in (PRETRAIN, TRAIN):
        return _training(job, lines, since)
    if job.stage in (ATTACK, CERTIFY):
        return _attacking(job, lines, since)
    return _stepping(lines[-1], since) or Said(lines[-1])


def _training(job: Job, lines: tuple[str, ...], since: float) -> Said:
    """Epochs done of all; to go are those left, each as long as the last few were, less what is done of the next."""
    rows = [row for row in map(EPOCH.fullmatch, lines) if row]
    resumed = [int(line[1]) for line in map(RESUMED.fullmatch, lines) if line]
    done = int(rows[-1][1]) if rows else (resumed or [0])[-1]
    epochs = int(rows[-1][2]) if rows else _epochs(job)
    each = sum(float(row[4]) for row in rows[-RECENT:]) / len(rows[-RECENT:]) if rows else None
    where, step, spent = f"{done} of {epochs} epochs", STEP.fullmatch(lines[-1]), since
    if step:
        steps, of, spent = int(step[2]), int(step[3]), int(step[4]) + since
        where = f"{done}.{10 * steps // of} of {epochs} epochs"
        if each is None and steps:
            each = int(step[4]) * of / steps
    elif not EPOCH.fullmatch(lines[-1]) and not RESUMED.fullmatch(lines[-1]):
        where += f"; {lines[-1]}"
    left = None if each is None else max(0.0, (epochs - done) * each - min(spent, each))
    return Said(where, _measured(rows[-1][3] if rows else "", each), left)


def _epochs(job: Job) -> int:
    settings = json.loads(job.settings)
    return int(settings["moco" if job.stage is PRETRAIN else "recipe"]["epochs"])


def _measured(parts: str, each: float | None) -> str:
    """Loss, accuracies and the seconds of an epoch first, then the other terms, which a narrow terminal cuts."""
    values = dict(part.rsplit(" ", 1) for part in parts.split(", ") if part)
    told = [_value(name, values[name]) for name in FIRST if name in values]
    told += [] if each is None else [f"{each:.1f} s an epoch"]
    return ", ".join(told + [_value(name, values[name]) for name in values if name not in FIRST])


def _value(name: str, value: str) -> str:
    if name.endswith("_accuracy"):
        return f"{name.removesuffix('_accuracy')} {100 * float(value):.1f} %"
    return f"{name} {float(value):.4g}"


def _attacking(job: Job, lines: tuple[str, ...], since: float) -> Said:
    """The attack that runs, by its own last line; the job's time to go is known where it is the only one."""
    finished = [line for line in map(FINISHED.fullmatch, lines) if line]
    of = _attacks(job.settings) if job.stage is ATTACK else 0
    running = _searching(lines[-1], since) or _stepping(lines[-1], since)
    ahead = f"{len(finished)} of {of} attacks" if of > 1 else ""
    if running is None:
        told = [line[1] for line in map(CERTIFICATE.fullmatch, lines) if line]
        last = f"{finished[-1][1]}: {100 * float(finished[-1][2]):.1f} % robust" if finished else lines[-1]
        return Said(f"after {told[-1]}" if told else ahead or last, last if ahead else "")
    if ahead or job.stage is CERTIFY:  # what comes after it is not known
        there = f"{running.to_go} to go in this attack" if running.to_go else ""
        where, measured = (ahead, running.where), (running.measured, there)
        return Said("; ".join(filter(None, where)), ", ".join(filter(None, measured)))
    return replace(running, where=running.where.partition(": ")[2])  # the attack's name is the job's


@cache
def _attacks(settings: str) -> int:
    """How many attacks a job makes, each radius one."""
    return sum(len(attack.rungs()) for attack in AttackSettings.model_validate_json(settings).attacks.values())


def _searching(line: str, since: float) -> Said | None:
    """An attack on all points at once: its time to go is the most it can be."""
    found = SEARCH.fullmatch(line)
    if not found:
        return None
    name, attack, iteration, of, points, accuracy, most = found.groups()
    where = f"{name}: {attack} {iteration} of {of}"
    return Said(where, f"{points} left, robust {accuracy}", max(0.0, seconds_of(most) - since), at_most=True)


def _stepping(line: str, since: float) -> Said | None:
    """A line of stages.core.job.progress: of an attack the steps are batches."""
    found = STEP.fullmatch(line)
    if not found:
        return None
    what, done, of, spent = found[1], int(found[2]), int(found[3]), int(found[4])
    attack = what.startswith("attack ")
    where = f"{what.removeprefix('attack ')}: {done} of {of}{' batches' if attack else ''}"
    if not done or not spent:
        return Said(where)
    each = spent / done
    rate = f"{each:.1f} s each" if each >= 1 else f"{1 / each:.1f} a second"
    return Said(where, rate, max(0.0, each * (of - done) - since))
