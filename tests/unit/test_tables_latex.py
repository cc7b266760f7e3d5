"""Laws of a table's LaTeX: it compiles as it is, escapes everything, and sets the best in bold."""

import shutil
import subprocess
from pathlib import Path

import pytest

from stages.tables.escape import escape
from stages.tables.latex import latex_document
from stages.tables.sheet import Entry, Line, Marks, Sheet

NASTY = r"50% of a_b & {c} #1 $x$ ~ ^ \ ± – − ε é Č Λ <y> | [z] * 中 ℓ∞ ≤ µ"
COMPILER = shutil.which("pdflatex") or shutil.which("tectonic")


@pytest.fixture
def sheet() -> Sheet:
    def line(dataset: str, label: str, *entries: Entry) -> Line:
        return Line(dataset, Entry(label, marks=("a",)), entries)

    won, lost = Entry("45.20", "[41.1, 49.4]", best=True), Entry("40.00", "± 0.31", marks=("a", "b"))
    blocks = (
        (line("[odd] " + NASTY, "A", won, Entry("–", marks=("b",))), line("odd", "B", won, lost)),
        (line("* second", NASTY, lost, won),),
    )
    path = "results/attack/a_very_long_folder/" * 12 + "o.parquet"
    return Sheet(
        "Title " + NASTY, ("Method", "Method"), blocks, (("", NASTY), ("a", f"run: no file {path}"), ("b", "x"))
    )


@pytest.mark.skipif(COMPILER is None, reason="neither pdflatex nor tectonic is installed")
def test_the_document_compiles_as_it_is_without_overfull_lines(sheet: Sheet, tmp_path: Path) -> None:
    (tmp_path / "t.tex").write_text(latex_document(sheet), encoding="utf-8")
    quiet = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in str(COMPILER) else []
    done = subprocess.run(
        [str(COMPILER), *quiet, "t.tex"], cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=100
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").read_bytes().startswith(b"%PDF")
    assert "Overfull" not in done.stdout
    assert "Missing character" not in done.stdout


def test_the_document_is_ascii_with_balanced_braces(sheet: Sheet) -> None:
    text = latex_document(sheet)
    assert text.isascii()
    bare = text.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")


def test_every_line_of_the_tabular_has_as_many_cells_as_its_head(sheet: Sheet) -> None:
    tabular = latex_document(sheet).partition(r"\begin{tabular}")[2].partition(r"\end{tabular}")[0]
    lines = [line for line in tabular.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 4
    assert {line.replace(r"\&", "").count("&") for line in lines} == {3}


def test_rules_stand_above_and_below_and_between_data_sets(sheet: Sheet) -> None:
    text = latex_document(sheet)
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]


def test_the_best_are_bold_and_nothing_else_in_the_table_is(sheet: Sheet) -> None:
    tabular = latex_document(sheet).partition(r"\begin{tabular}")[2]
    assert tabular.count(r"\textbf{45.20} {\scriptsize {[}41.1, 49.4{]}}") == 3
    assert tabular.count(r"\textbf") == 3


def test_a_data_set_is_named_once_in_its_block(sheet: Sheet) -> None:
    text = latex_document(sheet)
    assert text.count("{[}odd{]}") == 1
    assert "\nodd" not in text


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b", r"a\_b"),
        ("5%", r"5\%"),
        ("a&b", r"a\&b"),
        ("–", "--"),
        ("±", r"$\pm$"),
        ("ε", r"$\varepsilon$"),
        ("\\", r"\textbackslash{}"),
        ("e\u0301", r"\'{e}"),
        ("Ω", r"$\Omega$"),
        ("中", "{[}U+4E2D{]}"),
        ("a\nb\x07", "a b"),
    ],
)
def test_special_characters_are_escaped(text: str, latex: str) -> None:
    assert escape(text) == latex


def test_each_letter_of_the_greek_alphabet_has_its_own_command() -> None:
    small = [chr(code) for code in range(0x3B1, 0x3CA) if chr(code) != "ο"]
    commands = [escape(letter) for letter in small]
    assert len(set(commands)) == len(small)
    assert all(command.startswith("$\\") for command in commands)


def test_notes_are_marked_like_columns_of_a_spreadsheet_and_equal_notes_share_a_mark() -> None:
    marks = Marks()
    given = [marks.of(f"note {i}") for i in range(53)]
    assert given[:2] + given[25:28] + given[-1:] == ["a", "b", "z", "aa", "ab", "ba"]
    assert marks.of("note 1") == "b"
