"""The plan of one table or figure: which runs stand in which row, and which attack in which column.

Every path in a plan is relative to the root that the stage is given.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from stages.core.config.attacks import Attack
from stages.core.config.quantities import Seed
from stages.core.config.section import Name, Section


def folded(name: str) -> str:
    """A name as names are compared: case, spaces, hyphens and underscores do not count."""
    return re.sub(r"[\s_-]", "", name).casefold()


def place_of(word: str, entries: Sequence[tuple[str, ...]]) -> int | None:
    """Which entry a word means. Of each entry its names, the first kind of name first; None for none or several."""
    for names in zip(*entries, strict=True):
        if len(fitting := [place for place, name in enumerate(names) if name and folded(name) == folded(word)]) == 1:
            return fitting[0]
    return None


class Outcome(Section):
    """Where one attack's per-example outcomes lie."""

    path: str = Field(description="Parquet file of the attack stage")
    attack: str = Field(description="value of the file's column `attack`")


class Run(Section):
    """One trained model: a method, its settings and a seed."""

    seed: Seed
    name: str = Field(description="the run's folder; footnotes name a missing run by it")
    history: str | None = Field(None, description="Parquet file with one line an epoch")
    outcomes: dict[str, Outcome] = Field(default_factory=dict, description="by the attack's key in the columns")
    test_selected: str | None = Field(
        None, description="manifest with the figures of the epoch that is best on test images, for parity; never AA"
    )
    certificate: str | None = Field(None, description="JSON file with the verdict on its checkpoint; null: none")


def _revived(value: Any) -> Any:
    return Attack.revived(value) if isinstance(value, Mapping) else value


class Column(Section):
    """One attack."""

    attack: Name
    label: str
    settings: Annotated[Attack, BeforeValidator(_revived)] | None = Field(
        None, description="the attack with all its options, as any version wrote it; null: not told"
    )

    @property
    def names(self) -> tuple[str, ...]:
        """What a claim may call it."""
        return self.label, self.attack

    @property
    def is_clean(self) -> bool:
        """Whether it is the clean accuracy."""
        return self.attack == "clean" if self.settings is None else self.settings.kind == "clean"


class Row(Section):
    """One method, or one variant of it, on one data set; its runs differ only by their seeds."""

    dataset: str
    dataset_title: str = ""
    paper_dataset: str | None = Field(None, description="the paper's data set that this row answers to; null: none")
    paper_note: str = Field("", description="how our data set differs from the paper's; shown as a footnote")
    paper_row: str = Field("", description="what the paper calls the row: the method, or the varied value")
    label: str
    method: str
    method_title: str = Field("", description="what the method is called; a label may say only what varies")
    variant: dict[str, Any] = Field(default_factory=dict, description="settings that differ from the method's preset")
    runs: tuple[Run, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What a claim may call it."""
        return self.paper_row, self.label, self.method

    @property
    def own_name(self) -> str:
        """What it is called outside its table, where a label that says only what varies does not tell."""
        title = self.method_title or self.label
        return f"{title}: {self.label}" if self.variant else title

    def title(self) -> str:
        """The data set's name for people."""
        return self.dataset_title or self.dataset


class Plan(Section):
    """One table or figure."""

    experiment: str
    table: Name
    kind: Literal["table", "losses"] = "table"
    paper: int | None = Field(None, description="the number of the paper's table that this one answers to; null: none")
    layout: Literal["methods", "attacks"] = Field("methods", description="what stands in the printed rows")
    title: str
    seed: Seed = 0
    columns: tuple[Column, ...] = ()
    rows: tuple[Row, ...] = Field(min_length=1)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _unambiguous(self) -> "Plan":
        if self.kind == "table" and not self.columns:
            raise ValueError(f"table '{self.table}' has no columns; name at least one attack")
        keys = [column.attack for column in self.columns]
        heads = [column.label for column in self.columns]
        lines = [f"{row.label}' of '{row.dataset}" for row in self.rows]
        for what, names in (("attack", keys), ("column label", heads), ("row", lines)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} '{twice[0]}' stands twice in '{self.table}'; give each its own label")
        if self.layout == "attacks" and len({tuple(row.label for row in block) for block in self.blocks()}) > 1:
            raise ValueError(f"the rows of '{self.table}' differ between its data sets; `layout: methods` shows them")
        return self

    def blocks(self) -> list[tuple[Row, ...]]:
        """The rows by data set, both in the order they are given."""
        datasets = dict.fromkeys(row.dataset for row in self.rows)
        return [tuple(row for row in self.rows if row.dataset == dataset) for dataset in datasets]

    def files(self) -> list[str]:
        """Every file the plan reads, each once."""
        runs = [run for row in self.rows for run in row.runs]
        if self.kind == "losses":
            return list(dict.fromkeys(run.history for run in runs if run.history))
        beside = [path for run in runs for path in (run.test_selected, run.certificate) if path]
        return list(dict.fromkeys([*self.outcomes(), *beside]))

    def outcomes(self) -> list[str]:
        """Every file of outcomes that the plan reads, each once."""
        keys = [column.attack for column in self.columns]
        runs = [run for row in self.rows for run in row.runs]
        return list(dict.fromkeys(run.outcomes[key].path for run in runs for key in keys if key in run.outcomes))
