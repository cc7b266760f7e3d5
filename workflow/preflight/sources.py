"""The files from outside that jobs will read: data folders, checkpoints, MoCo's official weights."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from stages.core.config.data import Data
from stages.core.config.moco import Features
from stages.core.config.plugins import constant
from workflow.planning.jobs import Job, Plan, prepared_by
from workflow.planning.sizes import dataset_of
from workflow.planning.stages import DATA, EMBED, WEIGHTS
from workflow.preflight.formats import expanded, fault, kind_of_weights


def faults_of_files(plan: Plan, jobs: Iterable[Job]) -> Iterator[str]:
    """What is wrong with what the jobs will read from outside, a line for each, key and cure in it."""
    for job in jobs:
        if job.stage is DATA:
            name = dataset_of(job)
            yield from _folder(f"datasets.{name}.data", plan.experiment.datasets[name].data)
        elif job.stage is WEIGHTS:
            path = Path(job.inputs["file"])
            if wrong := fault(path, kind_of_weights(path)):
                yield f"checkpoints.{_checkpoint(plan, job)}.file: {path} {wrong}; get it again, or name another file"
        elif job.stage is EMBED:
            yield from _official(plan, job)


def _checkpoint(plan: Plan, job: Job) -> str:
    """The key of the checkpoint whose weights a job reads."""
    named = ((name, str(expanded(given.file)[0])) for name, given in plan.experiment.checkpoints.items())
    return next(name for name, file in named if file == job.inputs["file"])


def _official(plan: Plan, job: Job) -> Iterator[str]:
    settings = Features.model_validate_json(job.settings)
    if settings.checkpoint is None:
        return
    path, unset = expanded(settings.checkpoint)
    wrong = f"names {unset}, which is not set" if unset else fault(path, "torch")
    if wrong:
        name = dataset_of(prepared_by(plan.makers(), job))
        yield f"datasets.{name}.features.checkpoint: {path} {wrong}; name the MoCo v2 file of its authors (.pth.tar)"


def _folder(key: str, data: Data) -> Iterator[str]:
    """Faults of the folder that a data set is read from; none for one that is downloaded or comes with a library."""
    if data.folder is None:
        return
    folder, unset = expanded(data.folder)
    cure = "name the folder that holds its files"
    if unset:
        yield f"{key}.folder: '{data.folder}' names {unset}, which is not set; export it or write the path"
        return
    layouts = constant("sources", data.source, "LAYOUTS") or ()
    if folder.is_file() and any("zip" in layout.values() for layout in layouts):
        if wrong := fault(folder, "zip"):
            yield f"{key}.folder: {folder} {wrong}; {cure}"
    elif not folder.is_dir():
        yield f"{key}.folder: {folder} is no folder; {cure}"
    elif layouts:
        nested = constant("sources", data.source, "NESTED")
        yield from _laid_out(f"{key}.folder", layouts, [folder / nested, folder] if nested else [folder], cure)


def _laid_out(key: str, layouts: tuple[dict[str, str], ...], places: list[Path], cure: str) -> Iterator[str]:
    """A line unless one of the layouts lies whole in one of the places, and for each of its files that is damaged."""
    lacking = []
    for place in places:
        for layout in layouts:
            found = {pattern: _matching(place, pattern) for pattern in layout}
            if missing := [pattern for pattern, paths in found.items() if not paths]:
                lacking.append((len(missing) == len(layout), place, missing))
                continue
            for pattern, paths in found.items():
                for path in paths:
                    if wrong := fault(path, layout[pattern]):
                        yield f"{key}: {path} {wrong}; get it again"
            return
    _, place, missing = min(lacking, key=lambda one: (one[0], len(one[2]), -places.index(one[1])))
    looked = f" (looked in {places[0].name}/ too)" if len(places) > 1 and place == places[-1] else ""
    yield f"{key}: {place} has no {', '.join(missing)}{looked}; {cure}"


def _matching(place: Path, pattern: str) -> list[Path]:
    """The files below a place that match; of a pattern with folders in it the first, for they may be a million."""
    if not any(letter in pattern for letter in "*?["):
        return [place / pattern] if (place / pattern).is_file() else []
    found = (path for path in place.glob(pattern) if path.is_file())
    return list(itertools.islice(found, 1 if "/" in pattern else None))
