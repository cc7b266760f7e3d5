"""`python -m workflow.commands.publish`: copy what an experiment's tables rest on to results/published/<experiment>/.

Per-example outcomes, histories, manifests and the tables' plans; no checkpoint and no image. From these files alone the
tables are then made, here and by `make published`, so that they cannot be another plan's. An experiment
with overlays has a folder of its own. With --again the outcomes are those published before: for a change of titles,
notes or layout that no run depends on, and for an experiment that has grown. With --so-far what is not made yet is a
gap in the tables, and `gaps.json` lists it: for experiments of days. What was published before may be no gap.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stages.core.errors import ArtifactError
from stages.core.files import unpacked_json, write_json, write_text
from stages.core.manifests import read_manifest, require_file, write_manifest
from stages.core.refused import naming
from workflow.commands.cli import command_line, given_by, run
from workflow.commands.republish import make
from workflow.planning.assumptions import assumed
from workflow.planning.claims import own_claims
from workflow.planning.experiment import Experiment
from workflow.planning.jobs import Plan, told
from workflow.planning.report import reported
from workflow.planning.stages import RESULTS, STAGES
from workflow.planning.tables import make_plan

LAYOUT = """`tables/` holds the tables, every pair of their rows (`comparisons.csv`), whether claims hold (`claims.csv`,
`claims.json`) and what the experiment assumes (`assumptions.md`); `plans/` which run stands in which cell, `attack/`
every image's outcome, `certify/` the certificates where there are any, `train/` the histories, and each folder its
manifests (settings, hashes, versions, seeds, seconds). `make published` makes the tables again from these files alone.
"""


def published_folder(experiment: Experiment) -> Path:
    """Where an experiment's published files lie."""
    return Path(RESULTS) / "published" / experiment.place.replace("/", "-")


def main(argv: list[str] | None = None) -> None:
    """Copy the files, with every path in the plans and below the folder relative to it, and make the tables."""
    cli = command_line("publish", __doc__ or "")
    cli.add_argument("--again", action="store_true", help="plan anew for the outcomes that are published already")
    cli.add_argument("--so-far", action="store_true", help="publish what is made, with gaps in the tables")
    args = cli.parse_args(argv)
    experiment = given_by(args).experiment()
    folder = published_folder(experiment)
    source = folder if args.again else Path(RESULTS)
    plan = make_plan(experiment, source)
    wanted = {path.removeprefix(RESULTS): is_manifest for path, is_manifest in _sources(plan).items()}
    there = {path: is_manifest for path, is_manifest in wanted.items() if (source / path).is_file()}
    gaps = [path for path in wanted if path not in there]
    # published outcomes do not rest on the certificates and Lipschitz constants that the experiment has got since
    needed = [path for path in gaps if not (args.again and path.startswith(("certify/", "lipschitz/")))]
    if needed and not args.so_far:
        missing = f"{source / needed[0]}: not made yet ({len(needed)} missing)"
        raise ArtifactError(f"{missing}; run snakemake first, or publish --so-far")
    if args.so_far:
        _refuse_to_lose(folder, there)
    fresh = folder.with_name(f".{folder.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    for path, is_manifest in there.items():
        _copy(source / path, fresh / path, is_manifest=is_manifest)
    _write_plans(plan, fresh / "plans")
    write_json(fresh / "experiment.json", experiment.model_dump(mode="json"))
    text = f"# {experiment.title or experiment.experiment}\n\n{experiment.note}\n\n{LAYOUT}"
    if gaps:
        write_json(fresh / "gaps.json", gaps)
        text += f"\n{len(gaps)} of the {len(wanted)} files that they rest on are not made yet (`gaps.json`).\n"
    write_text(fresh / "README.md", text)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    make(folder.absolute())
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"published: {folder}/, {size / 1e6:.1f} MB")


def _refuse_to_lose(folder: Path, kept: Iterable[str]) -> None:
    """ArtifactError where a published folder holds an outcome that is not kept: it may be all that is left of days."""
    stages = {Path(file).relative_to(RESULTS).parts[0] for stage in STAGES for file in stage.files.values()}
    held = {str(path.relative_to(folder)) for stage in stages for path in (folder / stage).rglob("*") if path.is_file()}
    if lost := sorted(held - set(kept)):
        raise ArtifactError(
            f"{folder / lost[0]}: published, and not among what is made so far ({len(lost)} such files), so it would be"
            f" lost; copy it to {RESULTS}, or remove it there if it is to go"
        )


def _write_plans(plan: Plan, folder: Path) -> None:
    for name, table in plan.tables.items():
        write_json(folder / f"{name}.json", relative(told(table.plan)))
    for name in ("certificates", "lipschitz"):
        if name in plan.lists:
            write_json(folder / f"{name}.json", relative(unpacked_json(plan.lists[name].settings)))
    if plan.experiment.claims:
        write_json(folder / "claims.json", own_claims(plan.experiment))
    write_json(folder / "report.json", published_report(plan))
    write_json(folder / "assumptions.json", assumed(plan.experiment))


def _sources(plan: Plan) -> dict[str, bool]:
    """The files that published tables rest on, in order, and whether each is a manifest."""
    jobs = ((job, name) for stage in STAGES for job in plan.of(stage).values() for name in stage.published)
    return dict(sorted((job.file(name), name == "manifest") for job, name in jobs))


def published_report(plan: Plan) -> dict[str, Any]:
    """What the report of a published folder is told: no pictures, which would be a data set's images."""
    asked: dict[str, Any] = relative(reported(plan))
    lists: dict[str, Any] = {
        name: f"tables/{Path(asked[name]).name}" for name in ("claims", "assumptions", "lipschitz") if name in asked
    }
    kept = {stage.name for stage in STAGES if "manifest" in stage.published}
    jobs = [job for job in asked["jobs"] if job["stage"] in kept]
    return {**asked, **lists, "place": "tables", "pictures": [], "jobs": jobs}


def relative(value: Any) -> Any:
    """A plan with every path relative to results/, and so to a published folder."""
    if isinstance(value, dict):
        return {key: relative(item) for key, item in value.items()}
    if isinstance(value, list):
        return [relative(item) for item in value]
    return value.removeprefix(RESULTS) if isinstance(value, str) else value


def _copy(source: Path, target: Path, *, is_manifest: bool) -> None:
    """Copy a file; a manifest of before they had one gets a digest of its own."""
    if is_manifest:
        write_manifest(target, read_manifest(source))
        return
    require_file(source)
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


if __name__ == "__main__":
    run(main)
