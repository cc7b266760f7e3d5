"""Where results go: whether it can be written, and has room and inodes for what jobs still make.

What a job makes is estimated from its settings and the sizes of its data set; where these are not known yet, it counts
as nothing. Downloads and logs are not counted.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.config.attacks import Attack
from stages.core.config.known import Known
from stages.core.config.moco import Features
from workflow.planning.jobs import Job, Plan, prepared_by
from workflow.planning.sizes import sizes
from workflow.planning.stages import ATTACK, DATA, EMBED, INDEX, NEIGHBORS, PRETRAIN, STRUCTURE, TRAIN, WEIGHTS, Stage

FLOAT, LONG = 4, 8  # bytes of a number
OUTCOME = 32  # bytes of an image's outcome under an attack
SMALL = 100_000  # bytes of what is not estimated: manifests, histories, certificates, pictures
# A ResNet-18 with w channels in its first stage has 2,724 w^2 weights in its convolutions, and some 480 w beside them.
CONVOLUTIONS, BESIDE = 2724, 480
OFFICIAL = {"head": 128, "backbone": 2048}  # dimensions of the embedding by MoCo's authors' ResNet-50
# Until it is done a training saves weights, momentum and best weights, MoCo two encoders and momentum; a new state lies
# beside the old one for a moment.
STATE = 2 * 3
AT_ONCE = 8  # jobs whose states exist at the same time, at most
OTHER_FILES = 10  # of a job: its logs, benchmark and records, and what it leaves to go on from


@dataclass(frozen=True)
class Made:
    """Bytes and files that jobs still make, how many jobs these are, and of how many the bytes are not known."""

    size: float
    files: int
    jobs: int
    unknown: int


def still_made(plan: Plan, jobs: list[Job], root: Path) -> Made:
    """What the jobs will leave in results/, and hold there for a while."""
    makers, known = plan.makers(), {key: sizes(plan, data, root / "results") for key, data in plan.data.items()}
    size, unknown, states = 0.0, 0, []
    for job in jobs:
        size += SMALL
        if job.stage in NETS:
            weights = NETS[job.stage](job)
            size += weights
            states.append(STATE * weights if job.stage is not WEIGHTS else 0)
        elif job.stage in OF_IMAGES:
            have = known[prepared_by(makers, job).key]
            if have.train is None or have.test is None or have.side is None:
                unknown += 1
            else:
                size += OF_IMAGES[job.stage](job, have, makers)
    files = sum(len(job.stage.files) + OTHER_FILES for job in jobs)
    return Made(size + sum(sorted(states)[-AT_ONCE:]), files, len(jobs), unknown)


def faults_of_place(root: Path, made: Made) -> Iterator[str]:
    """What is wrong with the folder of the results, a line for each."""
    place = root / "results"
    while not place.exists():
        place = place.parent
    if (wrong := _not_written(place)) is not None:
        yield f"results: {place.absolute()} {wrong}; put results elsewhere by --directory, or mend it"
        return
    free = shutil.disk_usage(place).free
    if free < made.size:
        yield (
            f"results: {free / 1e9:.1f} GB are free and the {made.jobs} jobs still make about {made.size / 1e9:.1f} GB;"
            " free some, or put results elsewhere by --directory"
        )
    counted = os.statvfs(place)
    if counted.f_files and counted.f_favail < made.files:
        yield (
            f"results: {counted.f_favail} inodes are free and the {made.jobs} jobs still make about {made.files} files;"
            " remove files, or put results elsewhere by --directory"
        )


def _not_written(place: Path) -> str | None:
    """Why a file cannot be written to a folder and renamed there, which is how all are; None where it can."""
    try:
        with tempfile.TemporaryDirectory(prefix=".preflight-", dir=place) as folder:
            written = Path(folder, "new")
            written.write_bytes(b"new")
            Path(folder, "old").write_bytes(b"old")
            written.replace(Path(folder, "old"))
            renamed = Path(folder, "old").read_bytes() == b"new" and not written.exists()
    except OSError as error:
        return f"cannot be written ({error.strerror})"
    return None if renamed else "does not rename files at one stroke"


def _net(width: int) -> float:
    return FLOAT * (CONVOLUTIONS * width**2 + BESIDE * width)


def _dimensions(features: Features, side: int) -> int:
    if features.source == "pixels":
        return 3 * side**2
    if features.source == "official":
        return OFFICIAL[features.embedding]
    return features.moco.dim if features.embedding == "head" else 8 * features.moco.width


def _settings(job: Job) -> Any:
    return json.loads(job.settings)


def _data(job: Job, have: Known, makers: Mapping[str, Job]) -> float:
    images = (have.train or 0) + (have.test or 0) + (have.unlabelled or 0)
    return images * (3 * (have.side or 0) ** 2 + LONG)


def _embeddings(job: Job, have: Known, makers: Mapping[str, Job]) -> float:
    embed = job if job.stage is EMBED else makers[job.inputs["embeddings"]]
    features = Features.model_validate_json(embed.settings)
    return FLOAT * (have.train or 0) * _dimensions(features, have.side or 0)


def _neighbors(job: Job, have: Known, makers: Mapping[str, Job]) -> float:
    return 2.0 * LONG * (have.train or 0) * _settings(job)["depth"]


def _structure(job: Job, have: Known, makers: Mapping[str, Job]) -> float:
    return float(LONG + FLOAT) * (have.train or 0) * _settings(job)["m"]


def _outcomes(job: Job, have: Known, makers: Mapping[str, Job]) -> float:
    attacks = [Attack.model_validate(raw) for raw in _settings(job)["attacks"].values()]
    test = have.test or 0
    return OUTCOME * float(sum(min(attack.images or test, test) * len(attack.rungs()) for attack in attacks))


NETS: dict[Stage, Callable[[Job], float]] = {
    TRAIN: lambda job: _net(_settings(job)["model"]["width"]),
    PRETRAIN: lambda job: _net(_settings(job)["moco"]["width"]),
    WEIGHTS: lambda job: float(Path(job.inputs["file"]).stat().st_size),
}
OF_IMAGES: dict[Stage, Callable[[Job, Known, Mapping[str, Job]], float]] = {
    DATA: _data,
    EMBED: _embeddings,
    INDEX: _embeddings,
    NEIGHBORS: _neighbors,
    STRUCTURE: _structure,
    ATTACK: _outcomes,
}
