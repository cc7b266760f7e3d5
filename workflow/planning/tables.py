"""What each table is made of: rows of runs, columns of attacks, and the files that hold their outcomes."""

from pathlib import Path
from typing import Any

from stages.core.code import ROOT, code_digest
from stages.core.config.attacks import Attack
from stages.core.config.table import Choice, Table
from stages.core.errors import ConfigError
from stages.core.files import digest, sha256_file
from workflow.planning.attack_jobs import attack_id
from workflow.planning.experiment import Experiment
from workflow.planning.runs import Plan, Planner

Row = tuple[dict[str, Any], list[str]]  # what the tables stage is told of a row, and the keys of its training runs
PAPER = ROOT / "stages/tables/paper.csv"
COMPARISON_MODULES = ("stages.tables.comparisons",)


def make_plan(experiment: Experiment, root: Path = Path()) -> Plan:
    """The plan of an experiment; `root` is where results/ lies, looked at only for finished attack jobs to keep."""
    planner = Planner(experiment, root)
    attacks = {key: attack.model_copy(update={"label": ""}) for key, attack in experiment.attacks.items()}
    rows = {name: _rows(planner, name, table) for name, table in experiment.tables.items()}
    _check_unambiguous(experiment, rows)
    wanted: dict[str, dict[str, Attack]] = {}
    for name, table in experiment.tables.items():
        for _, train_keys in rows[name]:
            for key in train_keys:
                wanted.setdefault(key, {}).update({attack_id(attacks[a]): attacks[a] for a in table.attacks})
    jobs = planner.attack_all(wanted)
    plan = planner.plan
    for name, table in experiment.tables.items():
        filled, codes = [], {code_digest(["stages.tables.__main__"]), sha256_file(PAPER)}
        for row, train_keys in rows[name]:
            runs = []
            for key in train_keys:
                trained = plan.train[key]
                ids = {column: attack_id(attacks[column]) for column in table.attacks}
                outcomes = {
                    column: {"path": f"results/attack/{jobs[key][attack]}.parquet", "attack": attack}
                    for column, attack in ids.items()
                }
                codes |= {trained.code, *(plan.attack[jobs[key][attack]].code for attack in ids.values())}
                history = trained.path("history.parquet")
                run = {"seed": trained.seed, "name": trained.name, "history": history, "outcomes": outcomes}
                if trained.selects:
                    run["test_selected"] = trained.path("manifest.json")
                runs.append(run)
            filled.append({**row, "runs": runs})
        plan.tables[name] = _table(experiment, name, filled)
        plan.table_code[name] = digest(sorted(codes), 16)
    return plan


def comparisons(plan: Plan) -> tuple[dict[str, Any], str]:
    """What the tables stage is told to compare, and the digest of all that it rests on; ({}, '') for figures alone."""
    tables = {name: table for name, table in plan.tables.items() if table["kind"] == "table"}
    if not tables:
        return {}, ""
    codes = [code_digest(COMPARISON_MODULES), *(plan.table_code[name] for name in tables)]
    return {"plans": list(tables.values())}, digest(sorted(codes), 16)


def _check_unambiguous(experiment: Experiment, rows: dict[str, list[Row]]) -> None:
    """ConfigError for a row, a column or a seed that stands twice in a table: the tables stage would refuse it."""
    for name in ("comparisons", "assumptions"):
        if name in experiment.tables:
            raise ConfigError(f"tables.{name}: a list beside the tables goes by this name; give the table another")
    for name, table in experiment.tables.items():
        where = f"tables.{name}"
        seeds = (f"{where}.seeds", table.seeds) if table.seeds is not None else ("seeds", experiment.seeds)
        for key, values in (
            (f"{where}: row", [f"{row['label']} on {row['dataset']}" for row, _ in rows[name]]),
            (f"{where}.attacks: column", [_label(experiment, attack) for attack in table.attacks]),
            seeds,
        ):
            if twice := [value for index, value in enumerate(values) if value in values[:index]]:
                raise ConfigError(f"{key} '{twice[0]}' stands twice; name it once, or give each its own title or label")


def _label(experiment: Experiment, attack: str) -> str:
    return experiment.attacks[attack].label or attack.upper()


def _column(experiment: Experiment, key: str) -> dict[str, Any]:
    """An attack as the tables stage is told of it."""
    settings = experiment.attacks[key].model_dump(mode="json", exclude={"label"})
    return {"attack": key, "label": _label(experiment, key), "settings": settings}


def _table(experiment: Experiment, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    table = experiment.tables[name]
    return {
        "experiment": experiment.experiment,
        "table": name,
        "kind": table.kind,
        "paper": table.paper,
        "layout": table.layout,
        "title": table.title,
        "columns": [_column(experiment, key) for key in table.attacks],
        "rows": rows,
        "notes": [note for note in (*table.notes, experiment.note) if note],
    }


def _rows(planner: Planner, name: str, table: Table) -> list[Row]:
    experiment = planner.experiment
    seeds = table.seeds if table.seeds is not None else experiment.seeds
    several = len(set(table.names())) > 1
    rows: list[Row] = []
    for dataset in table.datasets:
        section = experiment.datasets[dataset]
        for choice in table.choices():
            keys = [planner.train(dataset, choice.method, choice.changes, seed)[0] for seed in seeds]
            title = experiment.method(dataset, choice.method, choice.changes).title
            row = {
                "dataset": dataset,
                "dataset_title": section.data.title or dataset,
                "paper_dataset": section.paper,
                "paper_note": section.paper_note,
                "paper_row": ", ".join(choice.values) or choice.method,
                "label": _row_label(title, choice, in_front=several and bool(table.methods)),
                "method": choice.method,
                "variant": choice.changes,
            }
            rows.append((row, keys))
    _check_distinct(name, rows)
    return rows


def _row_label(title: str, choice: Choice, *, in_front: bool) -> str:
    """What varies, for people; a table of several methods says of which."""
    varied = ", ".join(choice.parts)
    if not varied:
        return title
    return f"{title} ({varied})" if in_front else varied


def _check_distinct(name: str, rows: list[Row]) -> None:
    """ConfigError for two rows of the same runs: one value named twice, as 1 and 1.0 are."""
    seen: dict[tuple[str, ...], str] = {}
    for row, keys in rows:
        if (first := seen.setdefault(tuple(keys), row["label"])) != row["label"]:
            raise ConfigError(
                f"tables.{name}: rows '{first}' and '{row['label']}' on {row['dataset']} are the same run ({keys[0]});"
                " name it once"
            )
