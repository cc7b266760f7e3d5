"""`python -m stages.tables.answers < PLANS.json`: the paper's number that each cell of some table plans answers to.

A line a cell, spelled as in paper.csv and in the order in which the paper prints the table; a cell without a number
there has our own names and no number.
"""

import json
import sys
from collections.abc import Iterator

from stages.core.config.table_plan import Column, Plan, Row
from stages.tables.listing import csv_text
from stages.tables.paper import Key, Published, key, read_paper


def answer(paper: dict[Key, Published], plan: Plan, row: Row, column: Column) -> Published | None:
    """The published number that stands where this row meets this column in the paper's table, if there is one."""
    if plan.paper is None or row.paper_dataset is None:
        return None
    return paper.get(key(plan.paper, row.paper_dataset, row.paper_row, column.label))


def main() -> None:
    """Print every cell of the plans (a JSON list) that stand for tables of the paper."""
    paper = read_paper()
    plans = [Plan.model_validate(value) for value in json.load(sys.stdin)]
    lines = [line for plan in plans if plan.paper is not None for line in _lines(paper, plan)]
    sys.stdout.write(csv_text(("table", "dataset", "row", "column", "paper"), lines))


def _lines(paper: dict[Key, Published], plan: Plan) -> Iterator[list[str]]:
    for block in plan.blocks():
        cells = [(row, column) for row in block for column in plan.columns]
        if plan.layout == "attacks":
            cells = [(row, column) for column in plan.columns for row in block]
        for row, column in cells:
            found = answer(paper, plan, row, column)
            if found is None:
                yield [str(plan.paper), row.title(), row.label, column.label, ""]
            else:
                yield [str(found.table), found.dataset, found.row, found.column, str(found.paper)]


if __name__ == "__main__":
    main()
