"""A claim about tables: which rows are above which, under which columns and on which data sets."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stages.core.config.quantities import NonNegative
from stages.core.config.section import Name, Section
from stages.core.config.table import spelled


def _word(value: Any) -> Any:
    """A row that is named by the number that varies, as text."""
    return spelled(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _table(name: int | str) -> int | str:
    if isinstance(name, int) and not 1 <= name <= 7:
        raise ValueError("the paper has Tables 1 to 7; name one of them, or a table of this experiment")
    return name


Word = Annotated[str, BeforeValidator(_word), Field(min_length=1)]
Words = Annotated[list[Word], Field(min_length=1)]
TableName = Annotated[int | str, AfterValidator(_table)]


class _Stated(Section):
    """What every claim says."""

    text: str = Field(min_length=1, description="the claim in one sentence")
    source: str = Field("", description="where it is made")
    datasets: list[Word] = Field(
        default_factory=list, description="data sets that it speaks of; default: all of the table"
    )


class _OfTable(_Stated):
    """A claim about the accuracies of a table."""

    table: TableName = Field(description="a table of this experiment, or the number of the paper's that it answers to")
    columns: Words = Field(description="labels of the columns that it speaks of")


class Higher(_OfTable):
    """Each of some rows is above each of others, under each column, on each data set."""

    kind: Literal["higher"] = Field(description="rows above others")
    better: Words = Field(description="rows that are above, by label, method or varied value")
    than: Words = Field(description="rows that are below")
    than_table: TableName | None = Field(None, description="where those stand in another table: that table")
    margin: NonNegative = Field(0.0, description="percentage points by which a row may fall short: on par or better")


class Order(_OfTable):
    """Accuracy rises along some rows."""

    kind: Literal["order"] = Field(description="accuracy rises along rows")
    rows: Annotated[list[Word], Field(min_length=2)] = Field(description="rows in their order")
    falls: bool = Field(False, description="it falls along them")


class Gain(_OfTable):
    """What one row gains over another is larger under some columns than under others."""

    kind: Literal["gain"] = Field(description="a gain that is larger under some columns than under others")
    better: Word = Field(description="the row that gains")
    than: Word = Field(description="the row that it gains over")
    than_columns: Words = Field(description="labels of the columns under which it gains less")


class Loss(_Stated):
    """What a loss does while training, of the figures of losses: one of rises, falls, and better with than."""

    kind: Literal["loss"] = Field(description="losses while training")
    table: Name | None = Field(None, description="a figure of losses of this experiment; default: all of them")
    loss: Literal["lsp", "objective"] = Field("lsp", description="which: the LSP term's, or the objective's")
    rises: list[Word] = Field(
        default_factory=list, description="rows whose loss ends larger: last fifth of the epochs against the first"
    )
    falls: list[Word] = Field(default_factory=list, description="rows whose loss ends smaller, likewise")
    better: list[Word] = Field(default_factory=list, description="rows whose mean loss over all epochs is smaller")
    than: list[Word] = Field(default_factory=list, description="rows whose mean loss over all epochs is larger")

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Loss":
        if bool(self.better) != bool(self.than):
            raise ValueError("better and than go together; name rows of both")
        if sum(map(bool, (self.rises, self.falls, self.better))) != 1:
            raise ValueError("a claim about losses says one thing: rises, falls, or better with than")
        return self


Claim = Annotated[Higher | Order | Gain | Loss, Field(discriminator="kind")]
