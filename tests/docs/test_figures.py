"""What pages quote is what the published files that they name hold: cells of tables, intervals of sentences.

A table is a quotation where the paragraph below it links to tables/….csv: its first column holds rows of that file,
with the data set in parentheses where the file has several, the head of each other column a column of it up to a comma
and, where the file has a line a seed, its "seed N". Words in a cell are those of the file, a dash is a figure that it
does not have, and a claim's row is its text. A section's intervals are those of the files that it links to; before each
stands its figure, of either sign, and the next "adjusted p" after it is its own or that of a claim that rests on it.
"""

import csv
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.blocks import PAGES

LINK = re.compile(r"\]\((\S*results/published/\S+/tables/(?:[\w-]+\.csv|(?:lipschitz|claims)\.json))\)")
NUMBER = r"[−-]?\d+(?:\.\d+)?"
CELL = re.compile(rf"({NUMBER})(?: ± ({NUMBER}))?(?: \[({NUMBER}), ({NUMBER})\])?")
INTERVAL = re.compile(rf"\[({NUMBER}), ({NUMBER})\]")
ADJUSTED = re.compile(r"adjusted\s+p\s+(\d+(?:\.\d+)?(?:e[−-]\d+)?)")
OF_INTERVALS = {"low": ("difference", "rho"), "wilson_low": ("accuracy",)}  # of others the name without _low


class Quoted(NamedTuple):
    """A table of a page: where it stands, its cells by row and column, and the files that it quotes."""

    place: str
    cells: dict[tuple[str, str], str]
    files: tuple[Path, ...]


def paragraphs(page: Path) -> Iterator[tuple[int, str]]:
    """Each paragraph with the line it begins at."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"(?:.+\n)+", text):
        yield text.count("\n", 0, match.start()) + 1, match[0]


def linked(page: Path, text: str) -> tuple[Path, ...]:
    return tuple(dict.fromkeys((page.parent / link).resolve() for link in LINK.findall(text)))


def named(head: str) -> str:
    """The column that a head names: its words up to a comma, and a seed's."""
    name, *more = head.split(", ")
    return ", ".join([name, *(words for words in more if words.startswith("seed "))])


def quoted_tables() -> list[Quoted]:
    found = []
    for page in PAGES:
        parts = list(paragraphs(page))
        for (line, table), (_, below) in itertools.pairwise(parts):
            files = tuple(path for path in linked(page, below) if path.suffix == ".csv" and path.stem != "comparisons")
            if table.startswith("|") and files:
                head, _, *rows = ([cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines())
                columns = [named(cell) for cell in head[1:]]
                cells = {(row[0], name): cell for row in rows for name, cell in zip(columns, row[1:], strict=True)}
                found.append(Quoted(f"{page.name}:{line}", cells, files))
    return found


def sections() -> list[tuple[str, str, tuple[Path, ...]]]:
    """The sections of all pages that link to files: page and heading, text, files."""
    found = []
    for page in PAGES:
        for text in re.split(r"^#+ ", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            if files := linked(page, text):
                found.append((f"{page.name}: {text.splitlines()[0]}", text, files))
    return found


def lines_of(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".json":
        told = json.loads(path.read_text(encoding="utf-8"))
        lines = told.get("correlations") or [
            {**one, "claim_holm": claim["checkpoints"]["holm"]}
            for claim in told["claims"]
            for one in claim["comparisons"]
        ]
        return [{name: "" if figure is None else str(figure) for name, figure in line.items()} for line in lines]
    with path.open(encoding="utf-8", newline="") as file:
        return [{"row": line.get("text", ""), "dataset": "", **line} for line in csv.DictReader(file)]


def says(quoted: str, figure: str) -> bool:
    """Whether a quoted number is the file's, rounded to the digits that it is quoted with."""
    digits = len(quoted.partition(".")[2])
    return bool(figure) and abs(float(quoted.replace("−", "-")) - float(figure)) <= 0.5 * 10**-digits + 1e-9


def figures_of(line: dict[str, str]) -> Iterator[tuple[str, tuple[str, str, str, str]]]:
    """By column a line's figures, each with its deviation and interval: of a table, or of a list of checkpoints."""
    if "column" in line:
        yield line["column"], (line["accuracy"], line["sd"], line["wilson_low"], line["wilson_high"])
        return
    for name, figure in line.items():
        yield name, (figure, "", line.get(f"{name}_low", ""), line.get(f"{name}_high", ""))


@pytest.mark.parametrize("quoted", quoted_tables(), ids=lambda quoted: quoted.place)
def test_a_quoted_table_holds_the_figures_of_its_file(quoted: Quoted) -> None:
    lines = [line for path in quoted.files for line in lines_of(path)]
    several = len({line["dataset"] for line in lines}) > 1
    by_seed = len({line.get("seed") for line in lines}) > 1
    told = []
    for line in lines:
        row = f"{line['row']} ({line['dataset']})" if several else line["row"]
        told += [
            ((row, f"{column}, seed {line['seed']}" if by_seed else column), figure)
            for column, figure in figures_of(line)
        ]
    figures = dict(told)
    rows, columns = {row for row, _ in figures}, {column for _, column in figures}
    assert len(figures) == len(told), f"{quoted.place}: a row stands twice in what it quotes, so none can be meant"
    for place, cell in quoted.cells.items():
        if cell == "–":
            assert place[0] in rows, f"{quoted.place}: no row {place[0]!r}"
            assert place[1] in columns, f"{quoted.place}: no column {place[1]!r}"
            assert not figures.get(place, [""])[0], f"{quoted.place}, {place}: the file has {figures[place][0]}"
            continue
        match = CELL.fullmatch(cell)
        if match is None:
            assert cell == figures[place][0], f"{quoted.place}, {place}: {cell!r} for {figures[place][0]!r}"
            continue
        for number, figure in zip(match.groups(), figures[place], strict=True):
            assert number is None or says(number, figure), f"{quoted.place}, {place}: {number} for {figure}"


class Figure(NamedTuple):
    """A figure of a file with its interval, and the p that Holm's adjustment leaves it, where it has one."""

    value: str
    low: str
    high: str
    holm: tuple[str, ...]

    def has(self, low: str, high: str) -> bool:
        return says(low, self.low) and says(high, self.high)

    def negative(self) -> "Figure":
        value, low, high = (str(-float(number)) for number in (self.value, self.high, self.low))
        return self._replace(value=value, low=low, high=high)


def figures_with_intervals(files: tuple[Path, ...]) -> list[Figure]:
    found = []
    for line in (line for path in files for line in lines_of(path)):
        holm = tuple(line[name] for name in ("holm_p", "claim_holm") if line.get(name))
        for low in (name for name, figure in line.items() if name.endswith("low") and figure):
            names = OF_INTERVALS.get(low, (low.removesuffix("_low"),))
            value = next(line[name] for name in names if name in line)
            found.append(Figure(value, line[low], line[f"{low.removesuffix('low')}high"], holm))
    return found + [figure.negative() for figure in found]


@pytest.mark.parametrize(("heading", "text", "files"), [pytest.param(*part, id=part[0]) for part in sections()])
def test_a_quoted_interval_is_one_of_its_files(heading: str, text: str, files: tuple[Path, ...]) -> None:
    assert wrong_intervals(text, figures_with_intervals(files)) == [], heading


def wrong_intervals(text: str, figures: list[Figure]) -> list[str]:
    """The intervals of a text that no figure has, or none that stands before it, or none with the p after it."""
    wrong = []
    quoted = list(INTERVAL.finditer(text))
    ends = [0, *(match.end() for match in quoted), len(text)]
    for before, match, after in zip(ends, quoted, ends[2:], strict=False):
        numbers = re.findall(r"\d+(?:\.\d+)?", text[before : match.start()])
        adjusted = ADJUSTED.search(text[match.end() : after])
        if not any(
            figure.has(*match.groups())
            and any(says(number, figure.value.lstrip("-")) for number in numbers)
            and (adjusted is None or any(says(adjusted[1], p) for p in figure.holm))
            for figure in figures
        ):
            wrong.append(match[0])
    return wrong


def test_the_guard_guards() -> None:
    pages = {quoted.place.partition(":")[0] for quoted in quoted_tables()}
    assert pages >= {"README.md", "findings.md", "workstation.md"}
    assert any(INTERVAL.search(text) for _, text, _ in sections())
    assert named("lipschitz, mean L_x, seed 0") == "lipschitz, seed 0"
    figures = [Figure("-4.30", "-6.90", "-1.70", ("0.0102",))]
    figures += [figure.negative() for figure in figures]
    for right in ("4.3 [1.7, 6.9]", "−4.3 points [−6.9, −1.7], adjusted p 0.010"):
        assert wrong_intervals(right, figures) == []
    for wrong in ("4.2 [1.7, 6.9]", "4.3 [1.6, 6.9]", "[1.7, 6.9]", "4.3 [1.7, 6.9], adjusted p 0.004"):
        assert len(wrong_intervals(wrong, figures)) == 1
    assert says("60.8", "60.80")
    assert says("−1.1", "-1.14")
    assert not says("60.9", "60.80")
    assert not says("60.8", "")
