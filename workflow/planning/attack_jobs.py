"""Which attacks share a job: a checkpoint's cheap ones do, AutoAttack is a job of its own.

A finished job is kept although the config has changed since: attacks it covers are taken from it, and only those
that no finished job covers make a new one. So an attack that is added adds a job, and one taken away adds none.
"""

import json
from pathlib import Path

from pydantic import ValidationError

from stages.core.config.attacks import Attack
from stages.core.files import digest


def attack_id(attack: Attack) -> str:
    """An attack's identity: its kind and eight hex digits of everything that can change its outcomes."""
    return f"{attack.kind}-{digest(attack.identity())}"


def attack_jobs(wanted: dict[str, Attack], separate: list[str], folder: Path) -> dict[str, dict[str, Attack]]:
    """{group name: {attack id: attack}} that covers `wanted`; `folder` holds the manifests of finished groups."""
    alone = {key: attack for key, attack in wanted.items() if attack.kind in separate}
    groups = {key: {key: attack} for key, attack in alone.items()}
    missing = {key: attack for key, attack in wanted.items() if key not in alone}
    for name, members in _finished(folder).items():
        if missing.keys() & members.keys():
            groups[name] = members
            missing = {key: attack for key, attack in missing.items() if key not in members}
    if missing:
        groups[f"attacks-{digest(sorted(missing))}"] = dict(sorted(missing.items()))
    return groups


def _finished(folder: Path) -> dict[str, dict[str, Attack]]:
    found: dict[str, dict[str, Attack]] = {}
    for path in sorted(folder.glob("attacks-*.json")):
        try:
            attacks = json.loads(path.read_text(encoding="utf-8"))["settings"]["attacks"]
            found[path.stem] = {key: Attack.revived(attack) for key, attack in attacks.items()}
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            continue
    return found
