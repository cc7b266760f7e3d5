"""Which attacks share a job: a checkpoint's cheap ones do, AutoAttack is a job of its own.

A finished job is kept although the config has changed since: attacks it covers are taken from it, and only those
that no finished job covers make a new one. So an attack that is added adds a job, and one taken away adds none.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from stages.core.config.attacks import Attack
from stages.core.errors import ArtifactError
from stages.core.files import digest
from stages.core.manifests import read_manifest


class Attacks(NamedTuple):
    """What one job computes: attacks by id, the job's name, and the class of resources it asks for."""

    name: str
    by_id: dict[str, Attack]
    resources: str


def attack_id(attack: Attack) -> str:
    """An attack's identity: its kind and eight hex digits of everything that can change its outcomes."""
    return f"{attack.kind}-{digest(attack.identity())}"


def attack_jobs(wanted: dict[str, Attack], separate: list[str], folder: Path) -> list[Attacks]:
    """The jobs that cover `wanted`, attacks by id; `folder` holds the manifests of the checkpoint's finished ones."""
    apart = {kind.replace("-", "_") for kind in separate}
    alone = {key: attack for key, attack in wanted.items() if attack.kind.replace("-", "_") in apart}
    jobs = [Attacks(key, {key: attack}, "autoattack") for key, attack in alone.items()]
    missing = {key: attack for key, attack in wanted.items() if key not in alone}
    for name, members in _finished(folder).items():
        if missing.keys() & members.keys():
            jobs.append(Attacks(name, members, "attack"))
            missing = {key: attack for key, attack in missing.items() if key not in members}
    if missing:
        jobs.append(Attacks(f"attacks-{digest(sorted(missing))}", dict(sorted(missing.items())), "attack"))
    return jobs


def _finished(folder: Path) -> dict[str, dict[str, Attack]]:
    found: dict[str, dict[str, Attack]] = {}
    for path in sorted(folder.glob("attacks-*.json")) if folder.is_dir() else ():
        try:
            attacks = read_manifest(path)["settings"]["attacks"]
            found[path.stem] = {key: _revived(json.dumps(attack)) for key, attack in attacks.items()}
        except (ArtifactError, ValueError, KeyError, TypeError, AttributeError, ValidationError):
            continue
    return found


@cache
def _revived(record: str) -> Attack:
    """An attack as a manifest holds it; thousands of manifests hold the same."""
    attack: Attack = Attack.revived(json.loads(record))
    return attack
