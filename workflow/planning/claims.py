"""The claims that an experiment's tables are asked about: the paper's, and users' own, which are checked here."""

from collections.abc import Sequence
from typing import Any

import yaml

from stages.core.code import ROOT
from stages.core.config.claims import Claim, Higher, Loss
from stages.core.config.plugins import nearest
from stages.core.config.table_plan import Plan as TablePlan
from stages.core.config.table_plan import Row, folded, place_of
from stages.core.errors import ConfigError
from stages.core.files import digest, packed_json, sha256_file
from workflow.planning.experiment import Experiment
from workflow.planning.jobs import Job, Plan, told
from workflow.planning.runs import code_of
from workflow.planning.stages import CLAIMS

CATALOG, PAPER = ROOT / "stages/tables/claims.yaml", ROOT / "stages/tables/paper.csv"


def claims(plan: Plan) -> Job:
    """The job that judges all claims by all tables; ConfigError for one of the experiment's own that names nothing."""
    experiment, tables = plan.experiment, [job.plan for job in plan.tables.values()]
    for name, claim in experiment.claims.items():
        _check_name(name)
        _check(f"claims.{name}", claim, tables)
    settings = {
        "experiment": experiment.experiment,
        "plans": [told(table) for table in tables],
        **own_claims(experiment),
    }
    codes = [code_of(CLAIMS.modules), sha256_file(CATALOG), sha256_file(PAPER)]
    return Job(
        CLAIMS,
        f"{experiment.place}/claims",
        packed_json(settings),
        digest(sorted([*codes, *(job.code for job in plan.tables.values())]), 16),
        {path: path for table in tables for path in (table.outcomes() if table.kind == "table" else table.files())},
    )


def own_claims(experiment: Experiment) -> dict[str, Any]:
    """What the stage is told besides the tables."""
    dumped = experiment.model_dump(mode="json", include={"claims"}, exclude_unset=True)
    return {"claims": dumped.get("claims", {})}


def _check_name(name: str) -> None:
    if name in yaml.safe_load(CATALOG.read_text(encoding="utf-8")):
        raise ConfigError(f"claims.{name}: a claim of the paper goes by this name; give yours another")


def _check(where: str, claim: Claim, tables: Sequence[TablePlan]) -> None:
    """ConfigError for a table, data set, row or column that is not there, or a name that fits several."""
    kind = "losses" if isinstance(claim, Loss) else "table"
    tables = [table for table in tables if table.kind == kind]
    blocks = _blocks(f"{where}.table", claim.table, tables)
    _check_words(f"{where}.datasets", claim.datasets, [[(rows[0].dataset,)] for _, rows in blocks])
    if claim.datasets:
        meant = [(name,) for name in claim.datasets]
        blocks = [(table, rows) for table, rows in blocks if place_of(rows[0].dataset, meant) is not None]
    others = blocks
    if isinstance(claim, Higher) and claim.than_table is not None:
        others = _blocks(f"{where}.than_table", claim.than_table, tables)
    for key in ("better", "rows", "rises", "falls", "than"):
        words = getattr(claim, key, ())
        if not isinstance(words, bool):  # `falls` of an order
            having = others if key == "than" else blocks
            _check_words(f"{where}.{key}", words, [[row.names for row in rows] for _, rows in having])
    for key in ("columns", "than_columns"):
        _check_words(
            f"{where}.{key}", getattr(claim, key, ()), [[one.names for one in table.columns] for table, _ in blocks]
        )


def _blocks(where: str, name: int | str | None, tables: Sequence[TablePlan]) -> list[tuple[TablePlan, tuple[Row, ...]]]:
    """The rows of a table by data set, of all tables where none is named."""
    meant = [table for table in tables if name in (None, table.table, table.paper)]
    if not meant and name is None:
        raise ConfigError(f"{where}: there is no figure of losses; a table of `kind: losses` is one")
    if not meant:
        known = nearest(str(name), [table.table for table in tables])
        rule = f"none answers to Table {name} of the paper" if isinstance(name, int) else f"'{name}' is no such table"
        raise ConfigError(f"{where}: {rule} {known}")
    return [(table, rows) for table in meant for rows in table.blocks()]


def _check_words(where: str, words: str | Sequence[str], blocks: Sequence[Sequence[tuple[str, ...]]]) -> None:
    """ConfigError for a word that means one entry, of those known by several names each, in no block."""
    for word in (words,) if isinstance(words, str) else words:
        if all(place_of(word, entries) is None for entries in blocks):
            known = list(dict.fromkeys(name for entries in blocks for names in entries for name in names if name))
            if any(folded(name) == folded(word) for name in known):
                labels = list(dict.fromkeys(names[-2] for entries in blocks for names in entries))
                raise ConfigError(f"{where}: '{word}' fits several; name one by its label (known: {', '.join(labels)})")
            raise ConfigError(f"{where}: '{word}' is not there {nearest(word, known)}")
