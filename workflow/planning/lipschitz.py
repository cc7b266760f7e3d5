"""Section 3.3 in a plan: which checkpoints are measured, and the list of all beside the tables."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from stages.core.config.plugins import nearest
from stages.core.config.table_plan import Column, Row, Run
from stages.core.config.table_plan import Plan as TablePlan
from stages.core.errors import ConfigError
from stages.core.files import canonical_json, digest, packed_json
from workflow.planning.certificates import asked_for
from workflow.planning.jobs import ClassifierJob, Job, Plan
from workflow.planning.runs import code_of
from workflow.planning.stages import LIPSCHITZ, LIPSCHITZ_LIST

Rows = Iterable[tuple[Row, list[ClassifierJob]]]
Shown = dict[str, list[tuple[Column, Run]]]


def lipschitz(plan: Plan, rows: Rows) -> Job | None:
    """Plan a job for every checkpoint that is to be measured; the job that lists all, if there is one.

    The tables are planned before.
    """
    settings = plan.experiment.lipschitz.settings()
    asked = asked_for(plan.experiment.lipschitz.measures, rows)
    code = code_of(LIPSCHITZ.modules)
    listed: list[dict[str, Any]] = []
    shown = _shown(plan)
    attacks = _attacks(plan, asked, shown)
    for key, (row, job) in asked.items():
        made = Job(
            LIPSCHITZ,
            f"{key}/{digest(settings.identity())}",
            canonical_json(settings.model_dump(mode="json")),
            digest([job.code, code], 16),
            {"checkpoint": job.file("checkpoint"), "test": job.inputs["test"]},
        )
        plan.lipschitz[made.key] = made
        listed.append(_listed(row, job, made, shown.get(key, []), attacks.get(row.dataset)))
    if not listed:
        return None
    codes = {code_of(LIPSCHITZ_LIST.modules), *(job.code for job in (*plan.lipschitz.values(), *plan.tables.values()))}
    return Job(
        LIPSCHITZ_LIST,
        f"{plan.experiment.place}/lipschitz",
        packed_json({"checkpoints": listed}),
        digest(sorted(codes), 16),
        {path: path for one in listed for path in _files(one)},
    )


def _listed(
    row: Row, job: ClassifierJob, made: Job, shown: list[tuple[Column, Run]], attack: str | None
) -> dict[str, Any]:
    """What the list is told of a checkpoint; attack: the key of the column that its robust accuracy is of."""
    under = next(((column, run.outcomes[attack]) for column, run in shown if column.attack == attack and attack), None)
    run: dict[str, Any] = {"seed": job.seed, "name": job.name}
    told = {
        "dataset": row.title(),
        "row": row.own_name,
        "path": made.file("outcomes"),
        "run": run,
    }
    if "history" in job.stage.files:
        run["history"], told["trained"] = job.file("history"), job.file("manifest")
    if under is not None:
        column, outcome = under
        run["outcomes"] = {column.attack: outcome.model_dump(mode="json")}
        told["attack"] = {"attack": column.attack, "label": column.label}
    return told


def _files(one: dict[str, Any]) -> list[str]:
    """What the list reads of a checkpoint."""
    run = one["run"]
    outcomes = [at["path"] for at in run.get("outcomes", {}).values()]
    return [path for path in (one["path"], one.get("trained"), run.get("history"), *outcomes) if path]


def _attacks(plan: Plan, asked: dict[str, tuple[Row, ClassifierJob]], shown: Shown) -> dict[str, str]:
    """By data set the column that is asked for, or that most measured checkpoints have, of several the last.

    ConfigError for one that no table has.
    """
    if (wanted := plan.experiment.lipschitz.attack) is not None:
        columns = [column.attack for table in _tables(plan) for column in table.columns]
        if wanted not in columns:
            raise ConfigError(f"lipschitz.attack: '{wanted}' is no column of a table {nearest(wanted, columns)}")
        return {row.dataset: wanted for row, _ in asked.values()}
    counts: dict[str, Counter[str]] = {}
    for key, (row, _) in asked.items():
        attacked = {column.attack for column, _ in shown.get(key, [])}
        counts.setdefault(row.dataset, Counter()).update(attacked)
    found = {}
    for dataset, count in counts.items():
        if not count:
            continue
        most = [key for key, number in count.items() if number == max(count.values())]
        of_tables = ([one.attack for one in table.columns if one.attack in most] for table in _tables(plan))
        found[dataset] = next(keys for keys in of_tables if keys)[-1]
    return found


def _tables(plan: Plan) -> list[TablePlan]:
    return [job.plan for job in plan.tables.values() if job.plan.kind == "table"]


def _shown(plan: Plan) -> Shown:
    """By the job of a checkpoint the columns of all tables that it stands under, but for the clean one."""
    shown: Shown = {}
    for table in _tables(plan):
        attacks = [column for column in table.columns if not column.is_clean]
        for row in table.rows:
            for run in row.runs:
                shown.setdefault(f"{row.dataset}/{run.name}/seed{run.seed}", []).extend((one, run) for one in attacks)
    return shown
