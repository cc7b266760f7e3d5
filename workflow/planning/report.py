"""The report of an experiment: what it is told of tables, checkpoints and jobs, and what it reads."""

from typing import Any

from stages.core.code import ROOT
from stages.core.files import digest, packed_json, sha256_file, unpacked_json
from workflow.planning.jobs import Job, Plan, told
from workflow.planning.runs import code_of
from workflow.planning.stages import REPORT, STAGES

TEMPLATES = ROOT / "stages/tables/report/templates"
PAPER = ROOT / "stages/tables/paper.csv"


def report(plan: Plan) -> Job:
    """The job that makes it, once all others are planned."""
    asked = reported(plan)
    lists = [plan.lists[name] for name in ("claims", "assumptions", "certificates", "lipschitz") if name in plan.lists]
    before = [*plan.tables.values(), *lists, *plan.pictures.values()]
    page = {path.name: sha256_file(path) for path in TEMPLATES.iterdir() if path.suffix in (".html", ".css", ".js")}
    inputs = [path for job in plan.tables.values() for path in job.plan.files()]
    inputs += [job.file("history") for job in plan.train.values()]
    inputs += [path for path in (asked["claims"], asked["assumptions"], asked.get("lipschitz")) if path]
    inputs += [*(one["path"] for one in asked["certificates"]), *asked["pictures"]]
    return Job(
        REPORT,
        f"{plan.experiment.place}/report",
        packed_json(asked),
        digest([code_of(REPORT.modules), sha256_file(PAPER), page, sorted({job.code for job in before})], 16),
        {path: path for path in inputs},
    )


def reported(plan: Plan) -> dict[str, Any]:
    """What the stage is told."""
    experiment, lists = plan.experiment, plan.lists
    listed = unpacked_json(lists["certificates"].settings)["certificates"] if "certificates" in lists else []
    return {
        "experiment": experiment.place,
        "title": experiment.title,
        "note": experiment.note,
        "seeds": len(experiment.seeds),
        "command": experiment.command,
        "place": f"results/tables/{experiment.place}",
        "plans": [told(job.plan) for job in plan.tables.values()],
        "claims": lists["claims"].file("json"),
        "assumptions": lists["assumptions"].file("listed"),
        "certificates": listed,
        **({"lipschitz": lists["lipschitz"].file("json")} if "lipschitz" in lists else {}),
        "pictures": [job.file("pictures") for job in plan.pictures.values()],
        "jobs": [
            {
                "stage": stage.name,
                "key": key,
                "manifest": job.file("manifest"),
                "log": job.log,
                **({"history": job.file("history")} if "history" in stage.files else {}),
            }
            for stage in STAGES
            for key, job in sorted(plan.of(stage).items())
        ],
    }
