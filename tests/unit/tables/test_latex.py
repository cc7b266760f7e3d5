"""Laws of a table's LaTeX: it compiles as it is, escapes everything, and sets the best in bold."""

import shutil
import subprocess
from pathlib import Path

import pytest

from stages.tables.escape import escape
from stages.tables.latex import latex_document, latex_fragment
from stages.tables.sheet import Block, Entry, Line, Marks, Sheet

NASTY = r"50% of a_b & {c} #1 $x$ ~ ^ \ ± – − ε é Č Λ <y> | [z] * 中 ℓ∞ ≤ µ"
HOSTILE = (
    NASTY,
    r"\input{/etc/passwd} \end{document}",
    "[odd] first in a row",
    "* starred after a row's end",
    r"a~b^c_d \ {e} <f> |g|",
    "−1.60 ± 0.31 · 8/255 × ½ ≈ 3°",
    "ϵ ε λ ∞ ℓ∞ ≤ ≥ → µ Ω Σ",
    '“quotes” ‘single’ "straight" `back\' — …',
    "Łódź Ørsted Straße Čapek Erdős ı æ",
    "中文 データ 🙂",
    "e\u0301 n\u0303 decomposed, zero\u200bwidth, \u00a0nbsp",
    "a\nb\n\nc\td\x07 bell",
)
COMPILER = shutil.which("pdflatex") or shutil.which("tectonic")


@pytest.fixture
def sheet() -> Sheet:
    def line(label: str, *entries: Entry) -> Line:
        return Line(Entry(label, "n = 5", marks=("a",)), entries)

    won, lost = Entry("45.20", "[41.1, 49.4]", star="*"), Entry("40.00", "± 0.31", marks=("a", "b"))
    paper = Line(Entry("paper", marks=("a",)), (Entry("13.60", "−1.60"), Entry("")), below=True)
    blocks = (
        Block(
            "[odd] " + NASTY, ("n = 500", ""), (line("A", won, Entry("–", marks=("b",))), paper, line("B", won, lost))
        ),
        Block("* second", ("n = 500", "n = 1/2"), (line(NASTY, lost, won),)),
    )
    path = "results/attack/a_very_long_folder/" * 12 + "o.parquet"
    return Sheet(
        "Title " + NASTY, ("Method", "Method"), blocks, (("", NASTY), ("a", f"run: no file {path}"), ("b", "x"))
    )


def compiled(folder: Path, name: str) -> str:
    quiet = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in str(COMPILER) else []
    done = subprocess.run(
        [str(COMPILER), *quiet, f"{name}.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=100,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    return done.stdout


@pytest.mark.skipif(COMPILER is None, reason="neither pdflatex nor tectonic is installed")
@pytest.mark.parametrize("columns", [2, 9])
def test_the_document_compiles_beside_its_fragment_without_overfull_lines(
    sheet: Sheet, tmp_path: Path, columns: int
) -> None:
    (block, *_) = sheet.blocks
    if columns > 2:
        wide = tuple(Line(line.label, line.entries[:1] * columns, line.below) for line in block.lines)
        sheet = Sheet(sheet.title, ("Method",) * columns, (Block("x", ("",) * columns, wide),), sheet.notes)
    (tmp_path / "my_t.1.tex").write_text(latex_fragment(sheet), encoding="utf-8")
    (tmp_path / "t-document.tex").write_text(latex_document(sheet, "my_t.1.tex"), encoding="utf-8")
    said = compiled(tmp_path, "t-document")
    assert "Overfull" not in said
    assert "Missing character" not in said


@pytest.mark.skipif(COMPILER is None, reason="neither pdflatex nor tectonic is installed")
def test_the_fragment_is_taken_by_a_table_environment_of_any_document(sheet: Sheet, tmp_path: Path) -> None:
    (tmp_path / "t.tex").write_text(latex_fragment(sheet), encoding="utf-8")
    paper = r"""\documentclass[twocolumn]{article}
\usepackage{booktabs,graphicx}
\begin{document}
\begin{table*}\centering\caption{One}\input{t}\end{table*}
\begin{table}\caption{Two}\input{t.tex}\end{table}
\end{document}
"""
    (tmp_path / "paper.tex").write_text(paper, encoding="utf-8")
    assert "Overfull" not in compiled(tmp_path, "paper")


@pytest.mark.skipif(COMPILER is None, reason="neither pdflatex nor tectonic is installed")
def test_twelve_hostile_strings_compile_as_labels_as_bold_entries_and_as_notes(tmp_path: Path) -> None:
    lines = tuple(Line(Entry(text), (Entry(text, star="*"),)) for text in HOSTILE)
    sheet = Sheet(HOSTILE[1], ("x",), (Block("x", ("",), lines),), tuple((str(i), t) for i, t in enumerate(HOSTILE)))
    (tmp_path / "t.tex").write_text(latex_fragment(sheet), encoding="utf-8")
    (tmp_path / "t-document.tex").write_text(latex_document(sheet, "t.tex"), encoding="utf-8")
    assert "Missing character" not in compiled(tmp_path, "t-document")


def test_the_files_are_ascii_with_balanced_braces(sheet: Sheet) -> None:
    for text in (latex_fragment(sheet), latex_document(sheet, "t.tex")):
        assert text.isascii()
        bare = text.replace(r"\{", "").replace(r"\}", "")
        assert bare.count("{") == bare.count("}")


def test_every_line_of_the_tabular_spans_as_many_columns_as_the_tabular_has(sheet: Sheet) -> None:
    tabular = latex_fragment(sheet).partition(r"\begin{tabular}")[2].partition(r"\end{tabular}")[0]
    lines = [line.replace(r"\&", "") for line in tabular.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 1 + 2 + 4
    assert {line.count("&") + line.count(r"\multicolumn{2}") for line in lines} == {4}


def test_rules_stand_above_and_below_and_between_data_sets(sheet: Sheet) -> None:
    text = latex_fragment(sheet)
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]


def test_the_best_are_bold_and_nothing_else_in_the_table_is(sheet: Sheet) -> None:
    text = latex_fragment(sheet)
    assert text.count(r"\textbf{45.20} & \textsuperscript{*}{\scriptsize {[}41.1, 49.4{]}}") == 3
    assert text.count(r"\textbf") == 3


def test_a_data_set_is_named_once_above_its_lines_and_a_single_one_in_the_corner(sheet: Sheet) -> None:
    text = latex_fragment(sheet)
    assert text.count("{[}odd{]}") == 1
    assert text.count("{*} second") == 1
    alone = latex_fragment(Sheet(sheet.title, sheet.heads, sheet.blocks[1:], ()))
    assert alone.partition(r"\toprule")[2].lstrip().startswith("{*} second & ")


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
