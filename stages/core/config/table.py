"""The tables of an experiment: which rows, which columns, and which table of the paper they answer to."""

from itertools import product
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from stages.core.config.quantities import Seed
from stages.core.config.section import Name, Section

MethodName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
SYMBOLS = {"lsp.weight": "λ"}
PAPER_VARIES = {4: "lsp.discrepancy", 5: "lsp.m", 6: "lsp.weight"}


class Choice(NamedTuple):
    """What a row shows: a method with dotted changes, and what each change is called (no parts: the method alone)."""

    method: str
    changes: dict[str, Any]
    parts: tuple[str, ...]
    values: tuple[str, ...]


class TableRow(Section):
    """One row that is named outright."""

    label: str = Field(min_length=1, description="the row's name")
    method: MethodName = Field(description="what it shows")
    set: dict[str, Any] = Field(default_factory=dict, description="dotted setting of the method -> value")


def _values(given: Any) -> Any:
    if not isinstance(given, list | dict):
        raise ValueError("a list of values is needed, or a mapping of names to values")
    if not given:
        raise ValueError("at least one value is needed; a table that varies nothing leaves it out")
    return given


Values = Annotated[list[Any] | dict[str, Any], BeforeValidator(_values)]


class Table(Section):
    """A table of methods by attacks, or the figure of losses over epochs."""

    kind: Literal["table", "losses"] = Field("table", description="losses: a figure of both losses while training")
    paper: Annotated[int, Field(ge=1, le=7)] | None = Field(
        None, description="the table of the paper whose numbers stand beside ours, where `datasets.*.paper` names a set"
    )
    title: str = Field("", description="its caption")
    datasets: list[Name] = Field(min_length=1, description="a block of rows each")
    methods: list[MethodName] = Field(default_factory=list, description="a row each, or one for each varied value")
    vary: dict[str, Values] = Field(
        default_factory=dict,
        description="dotted setting of the methods -> values, or names of values -> values; every combination is a row",
    )
    rows: list[TableRow] = Field(
        default_factory=list, description="rows named one by one, where they are no product of `methods` and `vary`"
    )
    attacks: list[Name] = Field(default_factory=list, description="what the rows are measured under")
    layout: Literal["methods", "attacks"] = Field(
        "methods",
        description="what stands in the printed rows: the methods, or the attacks as in the paper's ablations",
    )
    seeds: Annotated[list[Seed], Field(min_length=1)] | None = Field(None, description="default: the experiment's")
    notes: list[str] = Field(default_factory=list, description="footnotes")

    @model_validator(mode="after")
    def _has_rows_and_columns(self) -> "Table":
        if self.kind == "table" and not self.attacks:
            raise ValueError("a table needs `attacks`, its columns")
        if bool(self.methods) == bool(self.rows):
            raise ValueError("a table needs either `methods`, with or without `vary`, or `rows`")
        if self.rows and self.vary:
            raise ValueError("`vary` goes with `methods`; a row of `rows` says what differs under `set`")
        theirs = PAPER_VARIES.get(self.paper or 0)
        if theirs and self.vary and set(self.vary) != {theirs}:
            raise ValueError(f"Table {self.paper} of the paper varies {theirs} alone; leave out `paper`, or vary that")
        return self

    def names(self) -> list[str]:
        """The methods of all rows."""
        return self.methods or [row.method for row in self.rows]

    def choices(self) -> list[Choice]:
        """The rows in their order: those named outright, or each method with every combination of what varies."""
        if self.rows:
            return [Choice(row.method, row.set, (row.label,), (row.label,)) for row in self.rows]
        axes = [[(path, *named) for named in _named(path, values)] for path, values in self.vary.items()]
        return [
            Choice(
                method,
                {path: value for path, value, _, _ in combination},
                tuple(part for _, _, part, _ in combination),
                tuple(spelled for _, _, _, spelled in combination),
            )
            for method in self.methods
            for combination in product(*axes)
        ]


def _named(path: str, values: list[Any] | dict[str, Any]) -> list[tuple[Any, str, str]]:
    """(value, what it is called in a row's label, the value as the paper would spell it)."""
    if isinstance(values, dict):
        return [(value, name, name) for name, value in values.items()]
    symbol = SYMBOLS.get(path, path.rpartition(".")[2])
    return [(value, f"{symbol} = {spelled(value)}", spelled(value)) for value in values]


def spelled(value: Any) -> str:
    """A varied value as the paper would print it: 1 for 1, 1.0 and 1e0 (a string to YAML); 1/3 as it stands."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        return f"{float(value):.12g}"
    except (TypeError, ValueError):
        return str(value)
