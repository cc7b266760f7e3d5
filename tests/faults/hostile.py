"""All hostile and malformed files, by what they are read as."""

from tests.faults import hostile_archives, hostile_artifacts, hostile_checkpoints, hostile_configs, hostile_images
from tests.faults.untrusted import Hostile

HOSTILE: tuple[Hostile, ...] = (
    *hostile_configs.HOSTILE,
    *hostile_archives.HOSTILE,
    *hostile_images.HOSTILE,
    *hostile_artifacts.HOSTILE,
    *hostile_checkpoints.HOSTILE,
)
