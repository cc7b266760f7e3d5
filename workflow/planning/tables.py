"""What each table is made of: rows of runs, columns of attacks, and the files that hold their outcomes."""

import itertools
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from stages.core.code import ROOT
from stages.core.config.attacks import Attack
from stages.core.config.messages import validation_message
from stages.core.config.table import Choice, Table
from stages.core.config.table_plan import Column, Outcome, Row, Run
from stages.core.config.table_plan import Plan as TablePlan
from stages.core.errors import ConfigError
from stages.core.files import digest, packed_json, sha256_file
from workflow.planning.assumptions import assumptions
from workflow.planning.attack_jobs import attack_id
from workflow.planning.certificates import certificates, certify
from workflow.planning.claims import claims
from workflow.planning.experiment import Experiment
from workflow.planning.jobs import AttackJob, ClassifierJob, Job, Plan, TableJob, told
from workflow.planning.lipschitz import lipschitz
from workflow.planning.pictures import pictures
from workflow.planning.report import report
from workflow.planning.runs import Planner, code_of
from workflow.planning.sizes import refuse_what_cannot_be
from workflow.planning.stages import COMPARISONS, FIGURE, RESULTS, TABLE

PAPER = ROOT / "stages/tables/paper.csv"
LISTED = (
    *("comparisons", "certificates", "lipschitz", "lipschitz-manifest", "claims", "claims-manifest"),
    *("assumptions", "report"),
)


class PlannedRow(NamedTuple):
    """A row of a table, still without runs, and the jobs that train them."""

    row: Row
    trained: list[ClassifierJob]


def make_plan(experiment: Experiment, results: Path = Path(RESULTS)) -> Plan:
    """The plan of an experiment; `results` is looked into for finished attack jobs to keep, and sizes of data sets."""
    planner = Planner(experiment, results)
    attacks = {key: attack.model_copy(update={"label": ""}) for key, attack in experiment.attacks.items()}
    ids = {key: attack_id(attack) for key, attack in attacks.items()}
    rows = {name: _rows(planner, name, table) for name, table in experiment.tables.items()}
    _check_unambiguous(experiment, rows)
    wanted: dict[str, dict[str, Attack]] = {}
    for name, table in experiment.tables.items():
        for planned in rows[name]:
            for trained in planned.trained:
                wanted.setdefault(trained.key, {}).update({ids[key]: attacks[key] for key in table.attacks})
    jobs = planner.attack_all(wanted)
    plan = planner.plan
    refuse_what_cannot_be(plan, results)
    every = [planned for planned_rows in rows.values() for planned in planned_rows]
    certified = certify(plan, every)
    for name, table in experiment.tables.items():
        columns = {key: ids[key] for key in table.attacks}
        plan.tables[name] = _table(experiment, name, rows[name], columns, jobs, certified)
    pictures(plan, [row for name, table in experiment.tables.items() if table.kind == "table" for row in rows[name]])
    if shown := [job for job in plan.tables.values() if job.stage is TABLE]:
        plan.lists["comparisons"] = _comparisons(experiment, shown)
    if certified:
        plan.lists["certificates"] = certificates(plan, every, certified)
    if (measured := lipschitz(plan, every)) is not None:
        plan.lists["lipschitz"] = measured
    plan.lists["claims"] = claims(plan)
    plan.lists["assumptions"] = assumptions(experiment)
    plan.lists["report"] = report(plan)
    return plan


def _comparisons(experiment: Experiment, tables: list[TableJob]) -> Job:
    """What compares the rows of all tables, each with each."""
    return Job(
        COMPARISONS,
        f"{experiment.place}/comparisons",
        packed_json({"plans": [told(job.plan) for job in tables]}),
        digest(sorted([code_of(COMPARISONS.modules), *(job.code for job in tables)]), 16),
        {path: path for job in tables for path in job.plan.outcomes()},
    )


def _table(
    experiment: Experiment,
    name: str,
    rows: list[PlannedRow],
    ids: dict[str, str],
    jobs: dict[str, dict[str, AttackJob]],
    certified: dict[str, Job],
) -> TableJob:
    """What makes a table. ids: attack in the columns -> its id; jobs: training job -> attack id -> attack job;
    certified: training job -> the job of its certificate.
    """
    table = experiment.tables[name]
    stage = TABLE if table.kind == "table" else FIGURE
    codes = {code_of(stage.modules), sha256_file(PAPER)}
    filled = []
    for row, trained in rows:
        runs = []
        for job in trained:
            attacked = {column: jobs[job.key][attack] for column, attack in ids.items()}
            outcomes = {
                key + rung: Outcome(path=at.file("outcomes"), attack=ids[key] + rung)
                for key, at in attacked.items()
                for rung in experiment.attacks[key].rungs()
            }
            codes |= {job.code, *(at.code for at in attacked.values())}
            beside = {"test_selected": job.file("manifest")} if job.selects else {}
            if job.key in certified and table.kind == "table":
                codes.add(certified[job.key].code)
                beside["certificate"] = certified[job.key].file("certificate")
            history = job.file("history") if "history" in job.stage.files else None
            runs.append(Run(seed=job.seed, name=job.name, history=history, outcomes=outcomes, **beside))
        filled.append(row.model_copy(update={"runs": tuple(runs)}))
    try:
        plan = TablePlan(
            experiment=experiment.experiment,
            table=name,
            kind=table.kind,
            paper=table.paper,
            layout=table.layout,
            title=table.title,
            columns=tuple(column for key in table.attacks for column in _columns(experiment, key)),
            rows=tuple(filled),
            notes=tuple(note for note in (*table.notes, experiment.note) if note),
        )
    except ValidationError as error:
        raise ConfigError(validation_message(error, TablePlan, f"tables.{name}")) from error
    inputs = {path: path for path in plan.files()}
    code = digest(sorted(codes), 16)
    return TableJob(stage, f"{experiment.place}/{name}", packed_json(told(plan)), code, inputs, plan=plan)


def _check_unambiguous(experiment: Experiment, rows: dict[str, list[PlannedRow]]) -> None:
    """ConfigError where two rows, columns, seeds, files or data sets would go by one name."""
    titles: dict[str, str] = {}
    for row, _ in itertools.chain.from_iterable(rows.values()):
        if (other := titles.setdefault(row.title(), row.dataset)) != row.dataset:
            raise ConfigError(
                f"datasets.{row.dataset}.data.title: '{row.title()}' is {other}'s, too, and tables and lists tell data"
                " sets by it; give each a title of its own"
            )
    for name in LISTED:
        if name in experiment.tables:
            raise ConfigError(f"tables.{name}: a list beside the tables goes by this name; give the table another")
    for name in experiment.tables:
        if f"{name}-document" in experiment.tables:
            raise ConfigError(f"tables.{name}-document: a file of tables.{name} goes by this name; give one another")
    for name, table in experiment.tables.items():
        where = f"tables.{name}"
        seeds = (f"{where}.seeds", table.seeds) if table.seeds is not None else ("seeds", experiment.seeds)
        for key, values in (
            (f"{where}: row", [f"{row.label} on {row.dataset}" for row, _ in rows[name]]),
            (f"{where}.attacks: column", [_label(experiment, attack) for attack in table.attacks]),
            seeds,
        ):
            if twice := [value for value, times in Counter(values).items() if times > 1]:
                raise ConfigError(f"{key} '{twice[0]}' stands twice; name it once, or give each its own title or label")


def _label(experiment: Experiment, attack: str) -> str:
    settings = experiment.attacks[attack]
    precision = settings.options.get("precision", "float32")
    return (settings.label or attack.upper()) + ("" if precision == "float32" else f" ({precision} search)")


def _columns(experiment: Experiment, key: str) -> list[Column]:
    """An attack as the tables stage is told of it: a column for each of its radii."""
    found = []
    for rung, attack in experiment.attacks[key].rungs().items():
        unit = "/255" if attack.norm == "linf" else ""
        label = _label(experiment, key) + (f" ε = {rung[1:]}{unit}" if rung else "")
        found.append(Column(attack=key + rung, label=label, settings=attack.model_dump(mode="json", exclude={"label"})))
    return found


def _rows(planner: Planner, name: str, table: Table) -> list[PlannedRow]:
    experiment = planner.experiment
    seeds = table.seeds if table.seeds is not None else experiment.seeds
    several = len(set(table.names())) > 1
    rows: list[PlannedRow] = []
    for dataset in table.datasets:
        for choice in table.choices():
            outside = experiment.checkpoints.get(choice.method)
            if outside is not None:
                if outside.dataset == dataset:
                    title = outside.title or choice.method
                    row = _row(experiment, dataset, choice, title, title)
                    rows.append(PlannedRow(row, [planner.weights(choice.method)]))
                continue
            trained = [planner.train(dataset, choice.method, choice.changes, seed) for seed in seeds]
            title = planner.training(dataset, choice.method, choice.changes).title
            label = _row_label(title, choice, in_front=several and bool(table.methods))
            rows.append(PlannedRow(_row(experiment, dataset, choice, label, title), trained))
    _check_distinct(name, rows)
    return rows


def _row(experiment: Experiment, dataset: str, choice: Choice, label: str, title: str) -> Row:
    """A row, still without runs."""
    section = experiment.datasets[dataset]
    return Row(
        dataset=dataset,
        dataset_title=section.data.title or dataset,
        paper_dataset=section.paper,
        paper_note=section.paper_note,
        paper_row=", ".join(choice.values) or choice.method,
        label=label,
        method=choice.method,
        method_title=title,
        variant=choice.changes,
        runs=(),
    )


def _row_label(title: str, choice: Choice, *, in_front: bool) -> str:
    """What varies, for people; a table of several methods says of which."""
    varied = ", ".join(choice.parts)
    if not varied:
        return title
    return f"{title} ({varied})" if in_front else varied


def _check_distinct(name: str, rows: list[PlannedRow]) -> None:
    """ConfigError for two rows of the same runs: one value named twice, as 1 and 1.0 are."""
    seen: dict[tuple[str, ...], str] = {}
    for row, trained in rows:
        keys = tuple(job.key for job in trained)
        if (first := seen.setdefault(keys, row.label)) != row.label:
            raise ConfigError(
                f"tables.{name}: rows '{first}' and '{row.label}' on {row.dataset} are the same run ({keys[0]});"
                " name it once"
            )
